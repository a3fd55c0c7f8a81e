# SPDX-License-Identifier: Apache-2.0
# oneDNN as Debian packages it. Its own CMake package asks for OpenCL's headers, which we do not use.
find_path(Dnnl_INCLUDE_DIR dnnl.h)
find_library(Dnnl_LIBRARY dnnl)
if(Dnnl_INCLUDE_DIR AND EXISTS ${Dnnl_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h)
    file(STRINGS ${Dnnl_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h Dnnl_LINES REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX REPLACE "[^0-9]*([0-9]+);[^0-9]*([0-9]+);[^0-9]*([0-9]+).*" "\\1.\\2.\\3" Dnnl_VERSION "${Dnnl_LINES}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Dnnl REQUIRED_VARS Dnnl_LIBRARY Dnnl_INCLUDE_DIR VERSION_VAR Dnnl_VERSION)
if(Dnnl_FOUND AND NOT TARGET Dnnl::dnnl)
    add_library(Dnnl::dnnl UNKNOWN IMPORTED)
    set_target_properties(Dnnl::dnnl PROPERTIES IMPORTED_LOCATION ${Dnnl_LIBRARY}
                          INTERFACE_INCLUDE_DIRECTORIES ${Dnnl_INCLUDE_DIR})
endif()
