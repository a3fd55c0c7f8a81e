# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where. Nothing installed knows the prefix or the build folder: the
# whole can be moved. The man pages are built with everything else, from the program's own tables.
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/facenet)
set(pc_folder ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)

# Program, libraries, headers.
install(TARGETS facenet_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS facenet EXPORT facenet LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS facenet_static EXPORT facenet_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/facenet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

# pkg-config. What a static link needs beyond Debian's own .pc files stands in Libs.private.
file(RELATIVE_PATH FACENET_PC_TO_PREFIX ${pc_folder} ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH FACENET_PC_TO_INCLUDE ${pc_folder} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
string(REGEX REPLACE "/$" "" FACENET_PC_TO_PREFIX ${FACENET_PC_TO_PREFIX})
list(JOIN FACENET_PACKAGES ", " FACENET_PC_REQUIRES)
set(FACENET_PC_LIBS "-ldnnl -lsvm ${OpenMP_C_FLAGS} -lpthread -lm -ldl")
configure_file(cmake/facenet.pc.in facenet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/facenet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# CMake package: find_package(facenet) gives facenet::facenet, with COMPONENTS static facenet::static.
set_target_properties(facenet_static PROPERTIES EXPORT_NAME static)
install(EXPORT facenet NAMESPACE facenet:: FILE facenet-targets.cmake DESTINATION ${package_folder})
install(EXPORT facenet_static NAMESPACE facenet:: FILE facenet-static-targets.cmake
        DESTINATION ${package_folder})
configure_package_config_file(cmake/facenet-config.cmake.in facenet-config.cmake
                              INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(facenet-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/facenet-config.cmake ${PROJECT_BINARY_DIR}/facenet-config-version.cmake
              cmake/FindDnnl.cmake
        DESTINATION ${package_folder})

# Man pages and documents.
add_custom_command(OUTPUT man/facenet.1
    COMMAND ${CMAKE_COMMAND} -DFACENET=$<TARGET_FILE:facenet_cli> -DFOLDER=${PROJECT_BINARY_DIR}/man
            -P ${PROJECT_SOURCE_DIR}/cmake/ManPages.cmake
    DEPENDS facenet_cli cmake/ManPages.cmake
    VERBATIM)
add_custom_target(man ALL DEPENDS man/facenet.1)
configure_file(docs/facenet.3.in facenet.3 @ONLY)
install(DIRECTORY ${PROJECT_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_BINARY_DIR}/facenet.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES examples/name_faces.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
