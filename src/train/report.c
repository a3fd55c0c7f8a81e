// SPDX-License-Identifier: Apache-2.0
//
// The page of a run: sections one below the other, style inside, pictures as data. It is well-formed XML too.
#include "train/report.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/plot.h"
#include "train/report_parts.h"
#include "train/text.h"

#include <sodium.h>
#include <string.h>

enum { MAX_PAGE = 64 << 20 };

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1f2430;--soft:#5b6472;--faint:#e3e7ee;--paper:#fff;--page:#f5f6f9;"
    "--chip:#e7eefc;--chip-ink:#1d4fb8}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--faint:#2a313d;--paper:#151a22;"
    "--page:#0d1117;--chip:#1c2c4d;--chip-ink:#9dbdff}}\n"
    "*{box-sizing:border-box}body{margin:0;padding:32px 24px 48px;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    "main{max-width:1180px;margin:0 auto}h1{font-size:26px;line-height:1.2;margin:0 0 8px}h2{font-size:18px;"
    "margin:36px 0 12px}\n"
    ".state{display:inline-block;padding:2px 12px;border-radius:12px;background:var(--chip);color:var("
    "--chip-ink);font-size:13px}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:24px 0 0;"
    "padding:0}\n"
    ".fact,figure,.wide,.triplet{background:var(--paper);border:1px solid var(--faint);border-radius:10px}\n"
    ".fact{padding:12px 16px}.fact dt{color:var(--soft);font-size:13px}.fact dd{margin:0;font-size:24px;"
    "font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}.fact .note{font-size:12px;"
    "font-weight:400;color:var(--soft)}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:16px}"
    "figure{margin:0;padding:12px}figure svg{display:block;width:100%;height:auto}\n"
    ".wide{overflow-x:auto;margin-top:16px}table{border-collapse:collapse;width:100%;font-size:14px;"
    "font-variant-numeric:tabular-nums}th,td{padding:6px 14px;text-align:right;border-bottom:1px solid var("
    "--faint)}tr:last-child>*{border-bottom:0}th{color:var(--soft);font-weight:500}\n"
    ".options th,.options td{text-align:left;vertical-align:top;overflow-wrap:anywhere}.options th{width:"
    "240px}\n"
    "details{margin-top:16px}summary{cursor:pointer;color:var(--soft)}\n"
    ".triplets{display:grid;grid-template-columns:repeat(auto-fill,minmax(340px,1fr));gap:16px}.triplet{"
    "padding:12px}.faces{display:grid;grid-template-columns:repeat(3,1fr);gap:8px}.face{min-width:0;text-"
    "align:"
    "center;font-size:12px;color:var(--soft);overflow-wrap:anywhere}\n"
    ".face img{display:block;width:100%;aspect-ratio:1;object-fit:cover;border-radius:6px;background:var("
    "--faint)}.face b{display:block;margin:4px 0 0;color:var(--ink);font-weight:500}\n"
    ".apart{margin:8px 0 "
    "0;font-size:13px;font-variant-numeric:tabular-nums}p.about{color:var(--soft);margin:0 "
    "0 12px}\n";

static void facts(fn_buf *out, const fn_run_report *r) {
    if (!r->n_facts)
        return;
    fn_buf_printf(out, "<dl class=\"facts\">\n");
    for (int i = 0; i < r->n_facts; i++) {
        fn_buf_printf(out, "<div class=\"fact\"><dt>");
        fn_buf_xml(out, r->facts[i].name);
        fn_buf_printf(out, "</dt><dd>");
        fn_buf_xml(out, r->facts[i].value);
        if (r->facts[i].note) {
            fn_buf_printf(out, "<div class=\"note\">");
            fn_buf_xml(out, r->facts[i].note);
            fn_buf_printf(out, "</div>");
        }
        fn_buf_printf(out, "</dd></div>\n");
    }
    fn_buf_printf(out, "</dl>\n");
}

// <img> with the JPEG as base64.
static int picture(fn_buf *out, const fn_report_face *face) {
    if (!face->jpeg)
        return FN_OK;
    size_t size = sodium_base64_ENCODED_LEN(face->n_bytes, sodium_base64_VARIANT_ORIGINAL);
    char *text = fn_alloc(size);
    if (!text)
        return fn_fail_memory();
    sodium_bin2base64(text, size, face->jpeg, face->n_bytes, sodium_base64_VARIANT_ORIGINAL);
    fn_buf_printf(out, "<img alt=\"\" src=\"data:image/jpeg;base64,");
    fn_buf_append(out, text, strlen(text));
    fn_buf_printf(out, "\"/>");
    fn_free(text);
    return FN_OK;
}

static int face(fn_buf *out, const char *role, const fn_report_face *f) {
    fn_buf_printf(out, "<div class=\"face\">");
    int rc = picture(out, f);
    fn_buf_printf(out, "<b>%s</b>", role);
    fn_buf_xml(out, f->caption ? f->caption : "");
    fn_buf_printf(out, "</div>\n");
    return rc;
}

static int triplets(fn_buf *out, const fn_run_report *r) {
    char ap[FN_NUMBER_SIZE], an[FN_NUMBER_SIZE];
    int rc = FN_OK;
    if (!r->n_triplets)
        return FN_OK;
    fn_buf_printf(out, "<section><h2>Hardest triplets</h2><p class=\"about\">The farthest from what is "
                       "wanted. Many of one person point at wrong labels.</p><div "
                       "class=\"triplets\">\n");
    for (int i = 0; i < r->n_triplets && rc == FN_OK; i++) {
        const fn_report_triplet *t = &r->triplets[i];
        fn_buf_printf(out, "<div class=\"triplet\"><div class=\"faces\">\n");
        rc = face(out, "anchor", &t->anchor);
        if (rc == FN_OK)
            rc = face(out, "positive", &t->positive);
        if (rc == FN_OK)
            rc = face(out, "negative", &t->negative);
        fn_buf_printf(out,
                      "</div><p class=\"apart\">d&#178; to the positive %s, to the negative %s</p></div>\n",
                      fn_number_text(ap, t->d_ap, 5), fn_number_text(an, t->d_an, 5));
    }
    fn_buf_printf(out, "</div></section>\n");
    return rc;
}

static void options(fn_buf *out, const fn_run_report *r) {
    if (!r->n_options)
        return;
    fn_buf_printf(out, "<section><h2>Options</h2><div class=\"wide\"><table class=\"options\">\n");
    for (int i = 0; i < r->n_options; i++) {
        fn_buf_printf(out, "<tr><th>");
        fn_buf_xml(out, r->options[i].name);
        fn_buf_printf(out, "</th><td>");
        fn_buf_xml(out, r->options[i].value);
        if (r->options[i].note) {
            fn_buf_printf(out, " <small>");
            fn_buf_xml(out, r->options[i].note);
            fn_buf_printf(out, "</small>");
        }
        fn_buf_printf(out, "</td></tr>\n");
    }
    fn_buf_printf(out, "</table></div></section>\n");
}

static int page(fn_buf *out, const fn_run_report *r) {
    fn_buf_printf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                       "'unsafe-inline'; img-src data:\"/>\n<title>");
    fn_buf_xml(out, r->title);
    fn_buf_printf(out, "</title>\n<style>\n");
    fn_plot_style(out);
    fn_buf_append(out, style, sizeof style - 1);
    fn_buf_printf(out, "</style>\n</head>\n<body>\n<main>\n<h1>");
    fn_buf_xml(out, r->title);
    fn_buf_printf(out, "</h1>\n");
    if (r->state) {
        fn_buf_printf(out, "<div class=\"state\">");
        fn_buf_xml(out, r->state);
        fn_buf_printf(out, "</div>\n");
    }
    facts(out, r);
    int rc = r->metrics ? fn_report_curves(out, r->metrics) : FN_OK;
    if (rc == FN_OK)
        rc = fn_report_validation(out, r);
    if (rc == FN_OK)
        rc = triplets(out, r);
    options(out, r);
    fn_buf_printf(out, "</main>\n</body>\n</html>\n");
    return rc;
}

int fn_report_write(const char *path, const fn_run_report *report) {
    fn_buf out;
    fn_buf_init(&out, MAX_PAGE);
    int rc = page(&out, report);
    if (rc == FN_OK)
        rc = out.failed ? out.failed : fn_write_file(path, out.data, out.len, 0600);
    fn_buf_free(&out);
    return rc;
}
