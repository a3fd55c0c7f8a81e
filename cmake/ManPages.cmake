# SPDX-License-Identifier: Apache-2.0
# cmake -DFACENET=program -DFOLDER=folder -P ManPages.cmake: writes facenet.1 and one page per verb
# into the folder, which it empties first. The program knows its verbs.
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${FACENET} help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n  [a-z][a-z-]+ " verbs "${help}")
foreach(verb IN LISTS verbs)
    string(STRIP "${verb}" verb)
    execute_process(COMMAND ${FACENET} ${verb} --help=man OUTPUT_FILE ${FOLDER}/facenet-${verb}.1
                    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND ${FACENET} --help=man OUTPUT_FILE ${FOLDER}/facenet.1 COMMAND_ERROR_IS_FATAL ANY)
