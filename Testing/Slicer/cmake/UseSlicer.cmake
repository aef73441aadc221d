# The macros that an extension of scripted modules calls: same keywords and checks as Slicer's.
include(CTest)

if(NOT DEFINED EXTENSION_NAME)
  set(EXTENSION_NAME ${PROJECT_NAME})
endif()

# Copies every file to the modules' folder of the build tree under its relative path, and installs that folder.
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MODULE "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES")
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: unknown keywords: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT MODULE_NAME)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: NAME is missing")
  endif()
  set(staged_files)
  foreach(script IN LISTS MODULE_SCRIPTS)
    if(NOT script MATCHES "\\.py$")
      string(APPEND script ".py")
    endif()
    _stage_file("${script}" staged_files)
  endforeach()
  foreach(resource IN LISTS MODULE_RESOURCES)
    _stage_file("${resource}" staged_files)
  endforeach()
  add_custom_target(Stage${MODULE_NAME} ALL DEPENDS ${staged_files})
  install(
    DIRECTORY ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    )
  if(BUILD_TESTING AND MODULE_WITH_GENERIC_TESTS)
    _record_test(py_nomainwindow_qSlicer${MODULE_NAME}ModuleGenericTest)
  endif()
endfunction()

# One file of a module; a missing, absolute or twice listed one is an error, as it is in Slicer.
function(_stage_file file staged_files_variable)
  if(IS_ABSOLUTE "${file}")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: '${file}' is not relative to the module")
  endif()
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: nonexistent file '${file}'")
  endif()
  get_property(listed GLOBAL PROPERTY staged_files_of_extension)
  if("${file}" IN_LIST listed)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: '${file}' is listed twice")
  endif()
  set_property(GLOBAL APPEND PROPERTY staged_files_of_extension "${file}")
  set(staged "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${file}")
  add_custom_command(
    OUTPUT "${staged}"
    COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${file}" "${staged}"
    DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${file}"
    VERBATIM
    )
  set(${staged_files_variable} ${${staged_files_variable}} "${staged}" PARENT_SCOPE)
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS")
  _record_script_test("${TEST_SCRIPT}" "${TEST_TESTNAME_PREFIX}" "${TEST_UNPARSED_ARGUMENTS}")
endfunction()

function(slicer_add_python_test)
  cmake_parse_arguments(PARSE_ARGV 0 TEST "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS;SCRIPT_ARGS")
  _record_script_test("${TEST_SCRIPT}" "${TEST_TESTNAME_PREFIX}" "${TEST_UNPARSED_ARGUMENTS}")
endfunction()

function(_record_script_test script prefix unknown)
  if(unknown)
    message(FATAL_ERROR "test of ${script}: unknown keywords: ${unknown}")
  endif()
  cmake_path(ABSOLUTE_PATH script BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE path)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "test of a nonexistent script '${script}'")
  endif()
  cmake_path(GET path STEM name)
  _record_test(py_${prefix}${name})
endfunction()

# Slicer would run it; here its name is all there is.
function(_record_test name)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E false)
endfunction()
