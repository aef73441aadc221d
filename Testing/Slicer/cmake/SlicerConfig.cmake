# Stands in for a build of Slicer, so that the extension configures, builds and installs without one:
#   cmake -S . -B build -DSlicer_DIR=Testing/Slicer/cmake && cmake --build build && cmake --install build --prefix installed
# Written from the documented signatures of Slicer's macros; it refuses what they refuse, and never builds a package.
set(Slicer_VERSION 5.12)
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/GenerateExtensionConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/PackageExtension.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-${Slicer_VERSION}/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR ${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
