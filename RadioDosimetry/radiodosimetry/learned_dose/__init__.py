"""Learned voxel dose: a network that corrects a fast base method towards Monte Carlo.

Two systems, both trainable and both on top of a base dose of this project: a residual 3-D U-Net on multiple-VSV
(Kim et al. 2022) and DblurDoseNet on the density-scaled kernel (Li et al. 2022). Nothing here is loaded with torch
before a network is built.
"""
