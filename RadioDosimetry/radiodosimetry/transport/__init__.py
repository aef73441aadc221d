"""Monte Carlo of photons, electrons and positrons in voxels and in shells, and the point kernels made with it.

Modules that compile kernels import Warp; this package and `point_kernels` do not.
"""
