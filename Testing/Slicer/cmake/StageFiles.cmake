# Copies the files of a list, one relative path a line, from SOURCE to DESTINATION under the same paths.
file(STRINGS "${LIST_FILE}" files)
foreach(file IN LISTS files)
  cmake_path(GET file PARENT_PATH folder)
  file(COPY "${SOURCE}/${file}" DESTINATION "${DESTINATION}/${folder}")
endforeach()
