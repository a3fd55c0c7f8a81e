# SPDX-License-Identifier: Apache-2.0
# The ONNX messages in C, generated at build from the onnx.proto that Debian's libonnx-dev installs.
# Defines the object library facenet_onnx_proto; ONNX_PROTO_DIR holds its header, onnx.pb-c.h. The
# generated code is compiled without the flags of our own sources.
find_file(ONNX_PROTO onnx.proto PATH_SUFFIXES onnx PATHS /usr/include /usr/local/include
          DOC "onnx.proto of the ONNX project (libonnx-dev)")
find_program(PROTOC_C NAMES protoc-c DOC "protobuf-c's compiler (protobuf-c-compiler)")
if(NOT ONNX_PROTO OR NOT PROTOC_C)
    message(FATAL_ERROR "onnx.proto or protoc-c is missing: apt-get install libonnx-dev protobuf-c-compiler")
endif()

set(ONNX_PROTO_DIR ${PROJECT_BINARY_DIR}/onnx)
file(MAKE_DIRECTORY ${ONNX_PROTO_DIR})
cmake_path(GET ONNX_PROTO PARENT_PATH ONNX_PROTO_SOURCE_DIR)
cmake_path(GET ONNX_PROTO FILENAME ONNX_PROTO_FILE)
add_custom_command(
    OUTPUT ${ONNX_PROTO_DIR}/onnx.pb-c.c ${ONNX_PROTO_DIR}/onnx.pb-c.h
    COMMAND ${PROTOC_C} --c_out=${ONNX_PROTO_DIR} --proto_path=${ONNX_PROTO_SOURCE_DIR} ${ONNX_PROTO_FILE}
    DEPENDS ${ONNX_PROTO}
    VERBATIM)
add_library(facenet_onnx_proto OBJECT ${ONNX_PROTO_DIR}/onnx.pb-c.c ${ONNX_PROTO_DIR}/onnx.pb-c.h)
target_include_directories(facenet_onnx_proto SYSTEM PUBLIC ${ONNX_PROTO_DIR})
target_link_libraries(facenet_onnx_proto PUBLIC PkgConfig::libprotobuf_c)
