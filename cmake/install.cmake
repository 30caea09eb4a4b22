# SPDX-License-Identifier: Apache-2.0
#
# What is installed where: library, program, headers, pkg-config and CMake
# packages, manual pages, completion, licence; and the Debian package of it all.
include(CMakePackageConfigHelpers)

install(TARGETS basin RUNTIME)
install(TARGETS basin_shared EXPORT basin-targets LIBRARY)
install(DIRECTORY include/basin DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${BASIN_PAGES}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${BASIN_PAGES}/completion/basin
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)

# pkg-config, by paths relative to the file: the whole tree can be moved.
set(BASIN_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH BASIN_PC_TO_PREFIX /${BASIN_PC_DIR} /)
string(REGEX REPLACE "/$" "" BASIN_PC_TO_PREFIX "${BASIN_PC_TO_PREFIX}")
configure_file(cmake/basin.pc.in ${CMAKE_BINARY_DIR}/basin.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/basin.pc DESTINATION ${BASIN_PC_DIR})

# find_package(basin) gives the target basin::basin.
set(BASIN_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/basin)
install(EXPORT basin-targets NAMESPACE basin:: DESTINATION ${BASIN_CMAKE_DIR})
configure_package_config_file(cmake/basin-config.cmake.in ${CMAKE_BINARY_DIR}/basin-config.cmake
                              INSTALL_DESTINATION ${BASIN_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/basin-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/basin-config.cmake
        ${CMAKE_BINARY_DIR}/basin-config-version.cmake DESTINATION ${BASIN_CMAKE_DIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME basin)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Basin authors <basin@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "energy-based models: library and command line")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Basin makes a neural network into a probability density, trains it, samples\\n from it and scores with it: from C, or from a shell.")
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "fonts-dejavu-core")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
include(CPack)
