# The macros that an extension of scripted modules calls: same keywords and checks as Slicer's.
include(CTest)

set(_stand_in_folder ${CMAKE_CURRENT_LIST_DIR})

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
  set(files)
  foreach(script IN LISTS MODULE_SCRIPTS)
    if(NOT script MATCHES "\\.py$")
      string(APPEND script ".py")
    endif()
    _require_new_file("${script}")
    list(APPEND files "${script}")
  endforeach()
  foreach(resource IN LISTS MODULE_RESOURCES)
    _require_new_file("${resource}")
    list(APPEND files "${resource}")
  endforeach()
  set(list_file "${CMAKE_CURRENT_BINARY_DIR}/${MODULE_NAME}.files")
  list(JOIN files "\n" lines)
  file(WRITE "${list_file}" "${lines}\n")
  add_custom_target(Stage${MODULE_NAME} ALL
    COMMAND ${CMAKE_COMMAND}
      "-DLIST_FILE=${list_file}"
      "-DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}"
      "-DDESTINATION=${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}"
      -P "${_stand_in_folder}/StageFiles.cmake"
    VERBATIM
    )
  install(
    DIRECTORY ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    )
  if(BUILD_TESTING AND MODULE_WITH_GENERIC_TESTS)
    _record_test(py_nomainwindow_qSlicer${MODULE_NAME}ModuleGenericTest)
  endif()
endfunction()

# One file of a module; a missing, absolute or twice listed one is an error, as it is in Slicer.
function(_require_new_file file)
  if(IS_ABSOLUTE "${file}")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: '${file}' is not relative to the module")
  endif()
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: nonexistent file '${file}'")
  endif()
  get_property(listed GLOBAL PROPERTY files_of_extension)
  if("${file}" IN_LIST listed)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule: '${file}' is listed twice")
  endif()
  set_property(GLOBAL APPEND PROPERTY files_of_extension "${file}")
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
