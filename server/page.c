// SPDX-License-Identifier: Apache-2.0
//
// Style and script stand in the page and carry a number drawn for this one answer, which the policy names:
// nothing else may run. Without scripts the picture runs all the same; the script only finds it again after
// the program was started anew.
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char top[] =
    "<!doctype html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"dark\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<title>%s</title>\n"
    "<style nonce=\"%s\">\n"
    "html, body { height: 100%%; margin: 0; background: #101418; color: #c8d0d6; }\n"
    "body { display: flex; flex-direction: column; font: 15px/1.4 system-ui, sans-serif; }\n"
    "header { display: flex; gap: 1em; align-items: baseline; padding: .5em .8em; }\n"
    "h1 { font-size: 1em; margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }\n"
    "p { margin: 0; color: #e0a020; }\n"
    "main { flex: 1; min-height: 0; }\n"
    "img { width: 100%%; height: 100%%; object-fit: contain; display: block; }\n"
    "</style></head>\n"
    "<body><header><h1>%s</h1><p id=\"state\" role=\"status\"></p></header>\n"
    "<main><img id=\"picture\" src=\"/stream\" alt=\"the running picture\"></main>\n"
    "<script nonce=\"%s\">\n"
    "const picture = document.getElementById('picture'), state = document.getElementById('state');\n"
    "let lost = false;\n"
    "picture.onerror = () => { lost = true; };\n"
    "async function look() {\n"
    "    let there = false;\n"
    "    try { there = (await fetch('/frame.jpg', {cache: 'no-store'})).ok; } catch (e) {}\n"
    "    if (there && lost) picture.src = '/stream?' + Date.now();\n"
    "    lost = !there;\n"
    "    state.textContent = there ? '' : 'no picture; looking for it';\n"
    "    setTimeout(look, 3000);\n"
    "}\n"
    "setTimeout(look, 3000);\n"
    "</script></body></html>\n";

// New memory: the text with what means something in HTML written out.
static char *escaped(const char *text) {
    char *out = malloc(6 * strlen(text) + 1), *p = out;
    for (; out && *text; text++) {
        const char *word = *text == '<'   ? "&lt;"
                           : *text == '>' ? "&gt;"
                           : *text == '&' ? "&amp;"
                           : *text == '"' ? "&quot;"
                                          : NULL;
        size_t n = word ? strlen(word) : 1;
        memcpy(p, word ? word : text, n);
        p += n;
    }
    if (out)
        *p = 0;
    return out;
}

int server_page_make(server_page *out, const char *title) {
    unsigned char drawn[16] = {0};
    char nonce[2 * sizeof drawn + 1];
    *out = (server_page){0};
    if (getrandom(drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn)
        return 0;
    for (size_t i = 0; i < sizeof drawn; i++)
        snprintf(nonce + 2 * i, 3, "%02x", drawn[i]);
    char *name = escaped(title);
    size_t size = name ? sizeof top + 2 * strlen(name) + 2 * sizeof nonce : 0;
    out->html = name ? malloc(size) : NULL;
    if (out->html) {
        out->n = (size_t)snprintf(out->html, size, top, name, nonce, name, nonce);
        snprintf(out->policy, sizeof out->policy,
                 "default-src 'none'; img-src 'self' data:; connect-src 'self'; style-src 'nonce-%s'; "
                 "script-src 'nonce-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                 nonce, nonce);
    }
    free(name);
    return out->html != NULL;
}
