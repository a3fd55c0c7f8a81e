# SPDX-License-Identifier: Apache-2.0
#
# facenet_embed(OUTPUT FILE...): writes a C source that holds the files as arrays, by their names, for
# src/model/embedded.h. A changed, added or removed file is noticed at the next build.
function(facenet_embed output)
    string(REPEAT "0x..," 18 line)
    set(arrays "")
    set(table "")
    set(index 0)
    foreach(file ${ARGN})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        get_filename_component(name ${file} NAME)
        file(READ ${file} hex HEX)
        string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
        string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
        string(APPEND arrays "static const unsigned char file${index}[] = {\n    ${bytes}0x00};\n\n")
        string(APPEND table "    {\"${name}\", (const char *)file${index}, sizeof file${index} - 1},\n")
        math(EXPR index "${index} + 1")
    endforeach()
    file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Written by cmake/Embed.cmake from the files named below.
#include \"model/embedded.h\"

@arrays@const fn_embedded_file fn_embedded_files[] = {
@table@};
const int fn_embedded_count = @index@;
")
endfunction()
