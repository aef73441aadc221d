# Slicer writes <Extension>Config.cmake for extensions that depend on this one; here there is none.
if(NOT EXTENSION_NAME STREQUAL PROJECT_NAME)
  message(FATAL_ERROR "EXTENSION_NAME is '${EXTENSION_NAME}', expected the project's name '${PROJECT_NAME}'")
endif()
