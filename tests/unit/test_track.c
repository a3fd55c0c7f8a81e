// SPDX-License-Identifier: Apache-2.0
//
// Tracks of known truth: boxes and vectors made by hand, people who walk, cross, hide, swap and are cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "track/vote.h"

#include <facenet/track.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIMENSION = 8, MAX_PEOPLE = 50 };

static uint64_t seed = 1;

/// Uniform in [0, 1), repeatable.
static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static fn_id id_of(int person) {
    fn_id id = {{0}};
    id.bytes[3] = (unsigned char)(person + 1);
    return id;
}

// A person on a frame: where, whose vector it has, and as whom it is decided (-1: nobody).
typedef struct actor {
    float x, y;
    int who, decided;
} actor;

// People are unit vectors along the axes, so any two lie 1.41 apart; views of one stray by about `spread`.
static float spread = 0.3F;

static void vector_of(float *v, int who) {
    double length = 0;
    for (int i = 0; i < DIMENSION; i++) {
        v[i] = (i == who % DIMENSION ? 1.0F : 0.0F) + spread * (float)(uniform() - 0.5);
        length += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIMENSION; i++)
        v[i] = (float)(v[i] / sqrt(length));
}

static fn_face face_at(float x, float y) {
    return (fn_face){.box = {x, y, 100, 100}, .score = 1};
}

static fn_tracker *open_tracker(int dimension) {
    fn_tracker_options options = FN_TRACKER_OPTIONS_INIT;
    options.dimension = dimension;
    fn_tracker *tracker = NULL;
    assert_int_equal(fn_tracker_open(&tracker, &options), FN_OK);
    return tracker;
}

static int n_wanted;                  // on the last frame
static float decided_distance = 0.7F; // of a vector to the person it is decided for

// Both halves of a frame. embed: 0 for a tracker without vectors.
static void show(fn_tracker *tracker, double time_s, int is_cut, const actor *actors, int n, int embed,
                 uint32_t *ids) {
    fn_face faces[MAX_PEOPLE] = {0};
    unsigned char wanted[MAX_PEOPLE];
    float vectors[MAX_PEOPLE * DIMENSION];
    fn_match matches[MAX_PEOPLE];
    memset(vectors, 0x7f, sizeof vectors); // what is not wanted is not looked at
    memset(matches, 0x7f, sizeof matches);
    for (int i = 0; i < n; i++)
        faces[i] = face_at(actors[i].x, actors[i].y);
    assert_int_equal(fn_tracker_associate(tracker, time_s, is_cut, faces, (size_t)n, wanted), FN_OK);
    n_wanted = 0;
    for (int i = 0; i < n; i++) {
        n_wanted += wanted[i];
        assert_true(embed || !wanted[i]);
        if (!wanted[i])
            continue;
        vector_of(vectors + i * DIMENSION, actors[i].who);
        matches[i] = (fn_match){.decision = actors[i].decided >= 0 ? FN_DECISION_KNOWN : FN_DECISION_UNKNOWN,
                                .best = {.person = id_of(actors[i].decided), .distance = decided_distance},
                                .fmr = 1e-6};
    }
    assert_int_equal(fn_tracker_update(tracker, embed ? vectors : NULL, embed ? matches : NULL, ids), FN_OK);
}

static const double FRAME = 0.04;

// --- Place --------------------------------------------------------------------------------------

static void one_person_walking_is_one_track(void **state) {
    (void)state;
    for (int embed = 0; embed < 2; embed++) {
        fn_tracker *tracker = open_tracker(embed ? DIMENSION : 0);
        for (int i = 0; i < 200; i++) {
            uint32_t id;
            // 250 pixels a second, with a detector's jitter
            actor a = {(float)(i * 10 + 6 * uniform()), (float)(50 + 6 * uniform()), 0, -1};
            show(tracker, i * FRAME, 0, &a, 1, embed, &id);
            assert_int_equal(id, 1);
            const fn_track *track = fn_tracker_find(tracker, 1);
            assert_int_equal(track->state, i < 2 ? FN_TRACK_NEW : FN_TRACK_CONFIRMED);
            assert_int_equal(track->is_confirmed, i >= 2);
            assert_int_equal(track->n_seen, i + 1);
            assert_true(track->is_seen && track->box.x == a.x && track->last_s == i * FRAME);
        }
        assert_int_equal(fn_tracker_len(tracker), 1);
        const fn_track *track = fn_tracker_get(tracker, 0);
        if (embed) {
            assert_in_range(track->n_embedded, 30,
                            45); // every quarter of a second in 8 s, and a few at first
            assert_true(fabsf(fn_distance(track->mean, track->mean, DIMENSION)) <= 0);
        } else {
            assert_int_equal(track->n_embedded, 0);
            assert_null(track->mean);
        }
        assert_int_equal(track->decision, FN_DECISION_UNKNOWN);
        fn_tracker_free(tracker);
    }
}

static void a_fast_walker_is_followed_by_velocity(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t id;
    float x = 0;
    for (int i = 0; i < 60; i++) { // up to 90 % of the face's width from frame to frame
        actor a = {x, 0, 0, -1};
        show(tracker, i * FRAME, 0, &a, 1, 0, &id);
        assert_int_equal(id, 1);
        x += i < 30 ? (float)(3 * i) : 90.0F;
    }
    fn_tracker_free(tracker);
}

// Two people walk through one another; the left one is found first while they are side by side.
static void cross(int dimension, int hidden, uint32_t at_end[2]) {
    fn_tracker *tracker = open_tracker(dimension);
    uint32_t ids[2] = {0, 0};
    for (int i = 0; i < 100; i++) {
        actor a = {(float)(i * 8), 0, 0, -1}, b = {(float)(800 - i * 8), 20, 1, -1};
        const int meet = fabsf(a.x - b.x) < 70;
        actor left_first[2] = {a.x <= b.x ? a : b, a.x <= b.x ? b : a};
        if (meet && hidden) // one hides the other
            show(tracker, i * FRAME, 0, &a, 1, dimension, ids);
        else
            show(tracker, i * FRAME, 0, left_first, 2, dimension, ids);
    }
    at_end[0] = ids[1]; // a is the right one now
    at_end[1] = ids[0];
    fn_tracker_free(tracker);
}

static void two_who_cross_keep_their_tracks(void **state) {
    (void)state;
    for (int dimension = 0; dimension <= DIMENSION; dimension += DIMENSION) {
        for (int hidden = 0; hidden < 2; hidden++) {
            uint32_t ids[2];
            cross(dimension, hidden, ids);
            if (ids[0] != 1 || ids[1] != 2)
                fail_msg("%d numbers, hidden %d: tracks %u and %u", dimension, hidden, ids[0], ids[1]);
        }
    }
}

static void a_hidden_walker_is_met_again_where_he_is_expected(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t id;
    int i = 0;
    for (; i < 25; i++)
        show(tracker, i * FRAME, 0, &(actor){(float)(i * 6), 0, 0, -1}, 1, 0, &id);
    for (; i < 45; i++) { // 0.8 s behind a pillar
        show(tracker, i * FRAME, 0, NULL, 0, 0, NULL);
        const fn_track *track = fn_tracker_get(tracker, 0);
        assert_false(track->is_seen);
        assert_true(fabsf(track->box.x - (float)(i * 6)) < 5); // expected here
    }
    show(tracker, i * FRAME, 0, &(actor){(float)(i * 6), 0, 0, -1}, 1, 0, &id);
    assert_int_equal(id, 1);
    fn_tracker_free(tracker);
}

// As from a network that holds frames back: twelve each half second, their times nearly the same.
static void bursts_of_frames_are_no_speed(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t id;
    double time_s = 0;
    float x = 0;
    for (int burst = 0; burst < 6; burst++) {
        for (int i = 0; i < 12; i++, x += 2) {
            time_s = burst * 0.5 + i * 1e-4;
            show(tracker, time_s, 0, &(actor){x, 0, 0, -1}, 1, 0, &id);
            assert_int_equal(id, 1);
        }
    }
    for (int i = 1; i <= 5; i++) { // 48 pixels a second
        show(tracker, time_s + i * 0.1, 0, NULL, 0, 0, NULL);
        const fn_track *track = fn_tracker_get(tracker, 0);
        const double expected = (double)x - 2 + i * 4.8;
        if (fabs((double)track->box.x - expected) > 5)
            fail_msg("after %g s at %g, expected %g", i * 0.1, (double)track->box.x, expected);
    }
    fn_tracker_free(tracker);

    // Frames of a fast camera are short steps that add up.
    tracker = open_tracker(0);
    for (int i = 0; i < 240; i++)
        show(tracker, i / 240.0, 0, &(actor){(float)i, 0, 0, -1}, 1, 0, &id);
    show(tracker, 239 / 240.0 + 0.5, 0, NULL, 0, 0, NULL);
    const fn_track *track = fn_tracker_get(tracker, 0);
    assert_int_equal(id, 1);
    assert_true(fabsf(track->box.x - 359) < 3);
    fn_tracker_free(tracker);
}

static void frames_that_are_not_searched_move_tracks(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t id;
    for (int i = 0; i < 100; i++) { // every fifth frame is searched
        if (i % 5) {
            assert_int_equal(fn_tracker_skip(tracker, i * FRAME), FN_OK);
            if (i > 10)
                assert_true(fabsf(fn_tracker_get(tracker, 0)->box.x - (float)(i * 5)) < 3);
            assert_true(fn_tracker_get(tracker, 0)->is_seen);
        } else {
            show(tracker, i * FRAME, 0, &(actor){(float)(i * 5), 0, 0, -1}, 1, 0, &id);
            assert_int_equal(id, 1);
        }
    }
    for (int i = 100; i < 150; i++)
        assert_int_equal(fn_tracker_skip(tracker, i * FRAME), FN_OK);
    assert_int_equal(fn_tracker_len(tracker), 0); // unseen for too long
    fn_tracker_free(tracker);
}

static void flicker_of_detection_makes_no_tracks(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t ids[2];
    int n_confirmed = 0;
    for (int i = 0; i < 500; i++) {
        // a person found on two frames of three, and a curtain taken for a face now and then
        actor actors[2] = {{100, 100, 0, -1}, {(float)(600 + i % 7 * 150), 300, 1, -1}};
        int first = i % 3 == 2, n = i % 11 == 0 ? 2 : 1;
        show(tracker, i * FRAME, 0, actors + first, first ? n - 1 : n, 0, ids);
        if (!first)
            assert_int_equal(ids[0], 1);
        for (size_t k = 0; k < fn_tracker_n_ended(tracker); k++)
            n_confirmed += fn_tracker_ended(tracker, k)->is_confirmed;
    }
    assert_int_equal(n_confirmed, 0);
    assert_int_equal(fn_tracker_find(tracker, 1)->state, FN_TRACK_CONFIRMED);
    fn_tracker_free(tracker);
}

static void fifty_faces_are_fifty_tracks(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t first[MAX_PEOPLE], ids[MAX_PEOPLE];
    for (int i = 0; i < 100; i++) {
        actor actors[MAX_PEOPLE];
        for (int k = 0; k < MAX_PEOPLE; k++) { // a crowd in rows, swaying; the order changes
            int who = (k + i) % MAX_PEOPLE;
            actors[k] = (actor){(float)(who % 10 * 120 + 30 * sin(i * 0.1 + who)),
                                (float)(who / 10 * 130 + 20 * cos(i * 0.13 + who)), who, -1};
        }
        show(tracker, i * FRAME, 0, actors, MAX_PEOPLE, 1, ids);
        for (int k = 0; k < MAX_PEOPLE; k++) {
            int who = (k + i) % MAX_PEOPLE;
            if (i == 0)
                first[who] = ids[k];
            assert_int_equal(ids[k], first[who]);
        }
    }
    assert_int_equal(fn_tracker_len(tracker), MAX_PEOPLE);
    for (size_t k = 1; k < MAX_PEOPLE; k++) // oldest first
        assert_true(fn_tracker_get(tracker, k)->id > fn_tracker_get(tracker, k - 1)->id);
    fn_tracker_free(tracker);
}

// --- Vectors ------------------------------------------------------------------------------------

// Seen for a second, away for `away_s`, back at another place.
static uint32_t id_after(double away_s, int who_returns, int decided) {
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t id;
    double time_s = 0;
    for (; time_s < 1; time_s += FRAME)
        show(tracker, time_s, 0, &(actor){100, 100, 0, decided}, 1, 1, &id);
    double back_s = time_s + away_s;
    for (; time_s < back_s; time_s += FRAME)
        show(tracker, time_s, 0, NULL, 0, 1, NULL);
    for (int i = 0; i < 10; i++, time_s += FRAME)
        show(tracker, time_s, 0, &(actor){500, 200, who_returns, who_returns ? -1 : decided}, 1, 1, &id);
    fn_tracker_free(tracker);
    return id;
}

static void who_returns_in_time_is_known_by_the_vector(void **state) {
    (void)state;
    for (int decided = -1; decided < 1; decided++) {
        assert_int_equal(id_after(1.0, 0, decided), 1);
        assert_int_equal(id_after(2.0, 0, decided), 2);
        assert_int_equal(id_after(1.0, 1, decided), 2);
    }
}

static void a_name_is_not_carried_to_a_face_that_is_not_decided_for_it(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t id;
    int i = 0;
    for (; i < 25; i++)
        show(tracker, i * FRAME, 0, &(actor){100, 100, 0, 0}, 1, 1, &id);
    assert_int_equal(fn_tracker_find(tracker, 1)->decision, FN_DECISION_KNOWN);
    // Cut to somebody very like, whom the gallery does not name.
    show(tracker, i * FRAME, 1, &(actor){105, 100, 0, -1}, 1, 1, &id);
    assert_int_equal(id, 2);
    assert_int_equal(fn_tracker_find(tracker, 2)->decision, FN_DECISION_UNKNOWN);
    fn_tracker_free(tracker);
}

static void a_face_nearer_to_somebody_known_does_not_carry_on_a_stranger(void **state) {
    (void)state;
    for (int is_nearer = 0; is_nearer < 2; is_nearer++) {
        fn_tracker *tracker = open_tracker(DIMENSION);
        uint32_t id;
        int i = 0;
        for (; i < 25; i++)
            show(tracker, i * FRAME, 0, &(actor){100, 100, 0, -1}, 1, 1, &id);
        // Cut to a face that is as like the track as before, and decided for somebody.
        decided_distance = is_nearer ? 0.01F : 0.9F;
        show(tracker, i * FRAME, 1, &(actor){105, 100, 0, 0}, 1, 1, &id);
        decided_distance = 0.7F;
        assert_int_equal(id, 1 + is_nearer);
        fn_tracker_free(tracker);
    }
}

static void two_who_swap_places_do_not_swap_tracks(void **state) {
    (void)state;
    for (int late = 0; late < 8;
         late++) { // the second one came a little later, so is embedded at other times
        fn_tracker *tracker = open_tracker(DIMENSION);
        uint32_t ids[2];
        int i = 0;
        for (; i < 40; i++) {
            actor actors[2] = {{100, 100, 0, 0}, {400, 100, 1, 1}};
            show(tracker, i * FRAME, 0, actors, i < late ? 1 : 2, 1, ids);
        }
        for (; i < 80; i++) {
            actor actors[2] = {{100, 100, 1, 1}, {400, 100, 0, 0}};
            show(tracker, i * FRAME, 0, actors, 2, 1, ids);
            for (int k = 0; k < 2; k++) { // whoever is shown by name has that name
                const fn_track *track = fn_tracker_find(tracker, ids[k]);
                if (i > 40 + 9 && track->decision == FN_DECISION_KNOWN)
                    assert_memory_equal(&track->person, &(fn_id[]){id_of(actors[k].who)}, sizeof(fn_id));
                assert_int_equal(track->n_switches, 0);
            }
        }
        assert_true(ids[0] != 1); // begun anew, or given back
        assert_true(ids[1] != 2);
        for (int k = 0; k < 2; k++)
            assert_int_equal(fn_tracker_find(tracker, ids[k])->decision, FN_DECISION_KNOWN);
        fn_tracker_free(tracker);
    }
}

static void a_cut_between_close_ups_begins_a_new_track(void **state) {
    (void)state;
    for (int told = 0; told < 2; told++) {
        fn_tracker *tracker = open_tracker(DIMENSION);
        uint32_t id;
        int i = 0;
        for (; i < 30; i++)
            show(tracker, i * FRAME, 0, &(actor){100, 100, 0, 0}, 1, 1, &id);
        for (; i < 60; i++) {
            show(tracker, i * FRAME, told && i == 30, &(actor){100, 100, 1, -1}, 1, 1, &id);
            // At once when the cut is known; else after the next look and one more.
            if (told || i >= 30 + 8) {
                assert_int_equal(id, 2);
                assert_int_equal(fn_tracker_find(tracker, id)->decision, FN_DECISION_UNKNOWN);
            }
        }
        assert_int_equal(fn_tracker_find(tracker, 1)->n_votes, fn_tracker_find(tracker, 1)->n_embedded);
        fn_tracker_free(tracker);
    }
}

static void a_cut_there_and_back_gives_the_track_back(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t id = 0;
    for (int i = 0; i < 90; i++) {
        int who = i / 30 % 2;
        show(tracker, i * FRAME, i % 30 == 0, &(actor){100, 100, who, who}, 1, 1, &id);
        assert_int_equal(id, who + 1);
        if (i && i % 30 == 0)
            assert_int_equal(n_wanted, 1);
    }
    fn_tracker_free(tracker);
}

static void without_vectors_a_cut_ends_all(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t ids[2];
    actor actors[2] = {{100, 100, 0, -1}, {400, 100, 1, -1}};
    for (int i = 0; i < 5; i++)
        show(tracker, i * FRAME, 0, actors, 2, 0, ids);
    // The frame of the cut is dropped; the cut is not.
    fn_face face = face_at(100, 100);
    assert_int_equal(fn_tracker_associate(tracker, 5 * FRAME, 1, &face, 1, NULL), FN_OK);
    show(tracker, 6 * FRAME, 0, actors, 1, 0, ids);
    assert_int_equal(ids[0], 3);
    assert_int_equal(fn_tracker_n_ended(tracker), 2);
    assert_int_equal(fn_tracker_ended(tracker, 0)->id, 1);
    assert_int_equal(fn_tracker_ended(tracker, 1)->id, 2);
    assert_int_equal(fn_tracker_ended(tracker, 1)->state, FN_TRACK_ENDED);
    assert_true(fn_tracker_ended(tracker, 1)->is_confirmed);
    assert_null(fn_tracker_ended(tracker, 2));
    assert_null(fn_tracker_find(tracker, 1));
    assert_null(fn_tracker_get(tracker, 1));
    show(tracker, 7 * FRAME, 0, actors, 1, 0, ids);
    assert_int_equal(fn_tracker_n_ended(tracker), 0);
    fn_tracker_free(tracker);
}

static void single_bad_vectors_do_not_break_a_track(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t id;
    int n_looks = 0, n_bad = 0;
    for (int i = 0; i < 250; i++) {
        // every fourth look sees a blurred face, which resembles nobody
        const int is_bad = n_looks % 4 == 3;
        show(tracker, i * FRAME, 0, &(actor){100, 100, is_bad ? 2 : 0, is_bad ? -1 : 0}, 1, 1, &id);
        n_looks += n_wanted;
        n_bad += is_bad && n_wanted;
        assert_int_equal(id, 1);
    }
    assert_true(n_bad > 5);
    assert_int_equal(fn_tracker_get(tracker, 0)->n_embedded, n_looks - n_bad); // bad ones count for nothing
    assert_int_equal(fn_tracker_get(tracker, 0)->decision, FN_DECISION_KNOWN);
    fn_tracker_free(tracker);
}

static void a_face_that_cannot_be_embedded_is_followed_by_place(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    float zero[DIMENSION] = {0};
    for (int i = 0; i < 20; i++) {
        fn_face face = face_at(100, 100);
        unsigned char wanted;
        uint32_t id;
        assert_int_equal(fn_tracker_associate(tracker, i * FRAME, 0, &face, 1, &wanted), FN_OK);
        assert_int_equal(wanted, 1);
        assert_int_equal(fn_tracker_update(tracker, zero, NULL, &id), FN_OK);
        assert_int_equal(id, 1);
    }
    assert_int_equal(fn_tracker_get(tracker, 0)->n_embedded, 0);
    fn_tracker_free(tracker);
}

// --- Votes --------------------------------------------------------------------------------------

static fn_match decided_for(int person, float distance) {
    return (fn_match){.decision = person >= 0 ? FN_DECISION_KNOWN : FN_DECISION_UNKNOWN,
                      .best = {.person = id_of(person), .distance = distance},
                      .fmr = (double)distance / 1000};
}

// Adds n vectors a tenth of a second apart.
static void vote(fn_vote *v, double *time_s, int person, int n) {
    for (int i = 0; i < n; i++, *time_s += 0.1) {
        fn_match match = decided_for(person, 0.9F);
        fn_vote_add(v, &match, *time_s);
    }
}

static int is_named(const fn_vote *v, int person) {
    fn_track track;
    memset(&track, 0, sizeof track);
    fn_vote_tell(&track, v);
    return track.decision == FN_DECISION_KNOWN && memcmp(&track.person, &(fn_id[]){id_of(person)}, 16) == 0;
}

static void a_single_false_match_names_nobody(void **state) {
    (void)state;
    for (int at = 0; at < 20; at++) {
        fn_vote v = {0};
        double time_s = 0;
        for (int i = 0; i < 20; i++) {
            vote(&v, &time_s, i == at ? 0 : -1, 1);
            assert_false(v.is_shown);
        }
    }
    // Nor do two, nor three of one moment, nor one in three for ever.
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, 0, 2);
    assert_false(v.is_shown);
    memset(&v, 0, sizeof v);
    for (int i = 0; i < 3; i++) {
        fn_match match = decided_for(0, 0.9F);
        fn_vote_add(&v, &match, i * 0.04);
    }
    assert_false(v.is_shown);
    memset(&v, 0, sizeof v);
    for (int i = 0; i < 1000; i++) {
        vote(&v, &time_s, i % 3 ? -1 : 0, 1);
        assert_false(v.is_shown);
    }
    fn_track track;
    fn_vote_tell(&track, &v);
    assert_int_equal(track.decision, FN_DECISION_UNKNOWN);
    assert_memory_equal(&track.person, &(fn_id[]){id_of(0)}, 16);
    assert_int_equal(track.n_votes, 334);
}

static void a_clear_majority_is_named_and_does_not_flicker(void **state) {
    (void)state;
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, 4, 3);
    assert_true(is_named(&v, 4));
    fn_match nearer = decided_for(4, 0.5F);
    fn_vote_add(&v, &nearer, time_s);
    for (int i = 0; i < 500; i++) { // half of the frames see nobody, some somebody else
        vote(&v, &time_s, i % 2 ? -1 : i % 20 == 0 ? 5 : 4, 1);
        assert_true(is_named(&v, 4));
    }
    fn_track track;
    fn_vote_tell(&track, &v);
    assert_true(track.distance == 0.5F && track.fmr == nearer.fmr);
    assert_int_equal(track.n_votes, 4 + 225);
    assert_int_equal(track.n_other, 25);
    assert_int_equal(track.n_switches, 0);
}

static void a_name_is_taken_back_when_hardly_any_vector_agrees(void **state) {
    (void)state;
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, 0, 3);
    assert_true(is_named(&v, 0));
    vote(&v, &time_s, -1, 9); // a quarter
    assert_true(is_named(&v, 0));
    vote(&v, &time_s, -1, 1);
    assert_false(v.is_shown);
    vote(&v, &time_s, 0, 20); // and comes back; no switch
    assert_true(is_named(&v, 0));
    assert_int_equal(v.n_switches, 0);
}

static void a_person_who_turns_to_the_camera_late_is_still_named(void **state) {
    (void)state;
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, -1, 200);
    vote(&v, &time_s, 0, 7);
    assert_false(v.is_shown);
    vote(&v, &time_s, 0, 3);
    assert_true(is_named(&v, 0));
    vote(&v, &time_s, -1, 5);
    assert_true(is_named(&v, 0));
}

static void another_person_takes_over_only_with_a_clear_lead(void **state) {
    (void)state;
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, 0, 10);
    for (int i = 0; i < 19; i++) {
        vote(&v, &time_s, 1, 1);
        assert_true(is_named(&v, 0));
    }
    vote(&v, &time_s, 1, 1);
    assert_true(is_named(&v, 1));
    assert_int_equal(v.n_switches, 1);
    // However long somebody has been named, another needs not longer than about the last 64 vectors.
    vote(&v, &time_s, 1, 10000);
    int n = 0;
    for (; n < 1000 && !is_named(&v, 0); n++)
        vote(&v, &time_s, 0, 1);
    assert_in_range(n, 40, 80);
    assert_int_equal(v.n_switches, 2);
}

static void many_candidates_are_bounded_and_the_named_one_stays(void **state) {
    (void)state;
    fn_vote v = {0};
    double time_s = 0;
    vote(&v, &time_s, 0, 40);
    for (int i = 0; i < 30; i++)
        vote(&v, &time_s, 1 + i, 1);
    assert_true(is_named(&v, 0));
    assert_int_equal(v.n_candidates, FN_VOTE_CANDIDATES);
    fn_track track;
    fn_vote_tell(&track, &v);
    assert_int_equal(track.n_other, 30);
    vote(&v, &time_s, 99, 100); // a newcomer can still win
    assert_true(is_named(&v, 99));
}

static void votes_are_forgotten_and_cast_again(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    uint32_t id;
    int i = 0;
    for (; i < 50; i++)
        show(tracker, i * FRAME, 0, &(actor){100, 100, 0, 0}, 1, 1, &id);
    float mean[DIMENSION];
    memcpy(mean, fn_tracker_get(tracker, 0)->mean, sizeof mean);
    assert_int_equal(fn_tracker_get(tracker, 0)->decision, FN_DECISION_KNOWN);
    fn_tracker_forget_votes(tracker);
    const fn_track *track = fn_tracker_get(tracker, 0);
    assert_int_equal(track->decision, FN_DECISION_UNKNOWN);
    assert_memory_equal(&track->person, &(fn_id){{0}}, sizeof(fn_id));
    assert_int_equal(track->n_votes + track->n_other, 0);
    assert_true(isnan(track->fmr));
    assert_memory_equal(track->mean, mean, sizeof mean);
    for (int k = 0; k < 25; k++, i++) { // enrolled under another name meanwhile
        show(tracker, i * FRAME, 0, &(actor){100, 100, 0, 6}, 1, 1, &id);
        if (k == 0)
            assert_int_equal(n_wanted, 1);
    }
    track = fn_tracker_get(tracker, 0);
    assert_int_equal(id, 1);
    assert_int_equal(track->decision, FN_DECISION_KNOWN);
    assert_memory_equal(&track->person, &(fn_id[]){id_of(6)}, sizeof(fn_id));
    assert_int_equal(track->n_switches, 0);
    fn_tracker_forget_votes(NULL);
    fn_tracker_free(tracker);
}

// --- Borders ------------------------------------------------------------------------------------

static void wrong_arguments_are_refused_and_change_nothing(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    fn_face face = face_at(0, 0);
    unsigned char wanted;
    uint32_t id;
    float vector[DIMENSION] = {1};
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, &id), FN_EINVAL); // no first half
    const double bad_times[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fn_tracker_associate(tracker, bad_times[i], 0, &face, 1, &wanted), FN_EINVAL);
    assert_int_equal(fn_tracker_associate(tracker, 1, 0, &face, 1, &wanted), FN_OK);
    assert_int_equal(fn_tracker_update(tracker, NULL, NULL, &id), FN_EINVAL);
    vector[0] = 2;
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, &id), FN_EINVAL);
    vector[0] = NAN;
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, &id), FN_EINVAL);
    vector[0] = 1;
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_tracker_len(tracker), 0);
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, &id), FN_OK); // may be repeated
    assert_int_equal(fn_tracker_update(tracker, vector, NULL, &id), FN_EINVAL);
    assert_int_equal(fn_tracker_associate(tracker, 1, 0, &face, 1, &wanted), FN_EINVAL); // does not rise
    assert_int_equal(fn_tracker_skip(tracker, 0.5), FN_EINVAL);
    const fn_box bad_boxes[] = {
        {NAN, 0, 1, 1}, {0, INFINITY, 1, 1}, {0, 0, 0, 1}, {0, 0, 1, -1}, {0, 0, 1, NAN}};
    for (size_t i = 0; i < sizeof bad_boxes / sizeof *bad_boxes; i++) {
        face.box = bad_boxes[i];
        assert_int_equal(fn_tracker_associate(tracker, 2, 0, &face, 1, &wanted), FN_EINVAL);
    }
    face = face_at(0, 0);
    assert_int_equal(fn_tracker_associate(tracker, 2, 0, &face, 1, NULL), FN_EINVAL);
    assert_int_equal(fn_tracker_associate(tracker, 2, 0, NULL, 1, &wanted), FN_EINVAL);
    fn_face *many = calloc(1025, sizeof *many);
    unsigned char *all = calloc(1025, 1);
    for (int i = 0; i < 1025; i++)
        many[i] = face;
    assert_int_equal(fn_tracker_associate(tracker, 2, 0, many, 1025, all), FN_ELIMIT);
    free(many);
    free(all);
    assert_int_equal(fn_tracker_len(tracker), 1);
    fn_tracker_free(tracker);
    fn_tracker_free(NULL);
    assert_int_equal(fn_tracker_open(NULL, NULL), FN_EINVAL);
    const fn_tracker_options bad[] = {{.version = 9},
                                      {.version = 1, .dimension = -1},
                                      {.version = 1, .dimension = 1 << 20},
                                      {.version = 1, .min_iou = -1},
                                      {.version = 1, .same = NAN},
                                      {.version = 1, .lost_s = -1},
                                      {.version = 1, .lost_s = INFINITY},
                                      {.version = 1, .confirm = -1},
                                      {.version = 1, .refresh_s = NAN}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fn_tracker_open(&tracker, &bad[i]), FN_EINVAL);
        assert_null(tracker);
    }
    assert_int_equal(fn_tracker_open(&tracker, NULL), FN_OK); // places only
    fn_tracker_free(tracker);
}

static void boxes_far_away_and_huge_do_no_harm(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    const fn_box boxes[] = {
        {-1e30F, 1e30F, 1e30F, 1e30F}, {3e38F, 3e38F, 3e38F, 3e38F}, {0, 0, 1e-30F, 1e-30F}};
    for (int i = 0; i < 30; i++) {
        fn_face face = {.box = boxes[i % 3]};
        uint32_t id;
        assert_int_equal(fn_tracker_associate(tracker, i * 1e-9, 0, &face, 1, NULL), FN_OK);
        assert_int_equal(fn_tracker_update(tracker, NULL, NULL, &id), FN_OK);
    }
    fn_tracker_free(tracker);
}

static void all_tracks_end_at_the_end_and_time_begins_anew(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(0);
    uint32_t ids[2];
    actor actors[2] = {{100, 100, 0, -1}, {400, 100, 1, -1}};
    for (int i = 0; i < 5; i++)
        show(tracker, 100 + i * FRAME, 0, actors, 2, 0, ids);
    assert_int_equal(fn_tracker_end(tracker), FN_OK);
    assert_int_equal(fn_tracker_len(tracker), 0);
    assert_int_equal(fn_tracker_n_ended(tracker), 2);
    assert_int_equal(fn_tracker_ended(tracker, 0)->n_seen, 5);
    show(tracker, 0, 0, actors, 2, 0, ids);
    assert_int_equal(ids[0], 3);
    assert_int_equal(fn_tracker_end(tracker), FN_OK);
    assert_int_equal(fn_tracker_end(tracker), FN_OK);
    assert_int_equal(fn_tracker_n_ended(tracker), 0);
    fn_tracker_free(tracker);
}

// A play of chance: people come, go, move, are cut and mistaken. Returns a sum over all that is said.
static uint64_t play(fn_tracker *tracker, int n_frames, uint64_t from) {
    uint64_t sum = 14695981039346656037u;
    actor actors[6] = {{0}};
    seed = from;
    for (int i = 0; i < n_frames; i++) {
        uint32_t ids[6];
        int n = 0;
        for (int k = 0; k < 6; k++) {
            if (uniform() < 0.3)
                continue;
            actors[n] =
                (actor){(float)(uniform() * 40 + k * 90 + 60 * sin(i * 0.02)), (float)(uniform() * 20), k,
                        uniform() < 0.5   ? k
                        : uniform() < 0.1 ? 5 - k
                                          : -1};
            n++;
        }
        show(tracker, i * FRAME, uniform() < 0.01, actors, n, 1, ids);
        for (int k = 0; k < n; k++)
            sum = (sum ^ ids[k]) * 1099511628211u;
        for (size_t k = 0; k < fn_tracker_len(tracker); k++) {
            const fn_track *t = fn_tracker_get(tracker, k);
            sum = (sum ^ t->n_votes ^ (uint64_t)t->decision << 32 ^ t->person.bytes[3]) * 1099511628211u;
            assert_true(t->n_votes + t->n_other <= t->n_embedded && t->n_embedded <= t->n_seen);
            if (t->mean) {
                float zero[DIMENSION] = {0};
                assert_true(fabsf(fn_distance(t->mean, zero, DIMENSION) - 1) < 1e-5F);
            }
        }
    }
    assert_int_equal(fn_tracker_end(tracker), FN_OK);
    return sum;
}

static void the_same_frames_give_the_same_tracks(void **state) {
    (void)state;
    fn_tracker *a = open_tracker(DIMENSION), *b = open_tracker(DIMENSION);
    assert_true(play(a, 2000, 7) == play(b, 2000, 7));
    assert_true(play(a, 2000, 7) != play(b, 2000, 8)); // the sum sees a difference
    fn_tracker_free(a);
    fn_tracker_free(b);
}

static void memory_does_not_grow_over_a_hundred_thousand_frames(void **state) {
    (void)state;
    fn_tracker *tracker = open_tracker(DIMENSION);
    play(tracker, 5000, 3);
    fn_alloc_fail_nth(0);
    play(tracker, 100000, 3);
    assert_in_range(fn_alloc_count(), 0, 20); // now and then more live at once than ever before
    fn_tracker_free(tracker);
}

static void each_failing_allocation_is_reported_and_survived(void **state) {
    (void)state;
    float vectors[3 * DIMENSION];
    spread = 0;
    for (int i = 0; i < 3; i++)
        vector_of(vectors + i * DIMENSION, i);
    int n_failed = 0;
    for (int nth = 1;; nth++) {
        fn_alloc_fail_nth(nth);
        fn_tracker *tracker = NULL;
        int rc = fn_tracker_open(&tracker, &(fn_tracker_options){.version = 1, .dimension = DIMENSION});
        int failed = rc != FN_OK;
        for (int i = 0; i < 12 && tracker; i++) {
            fn_face faces[3] = {face_at(0, 0), face_at(60, 0), face_at(120, 0)};
            unsigned char wanted[3];
            uint32_t ids[3];
            size_t n = i < 4 ? 1 : 3;
            double time_s = i * FRAME;
            rc = fn_tracker_associate(tracker, time_s, 0, faces, n, wanted);
            if (rc != FN_OK) {
                assert_int_equal(rc, FN_ENOMEM);
                failed++;
                assert_int_equal(fn_tracker_associate(tracker, time_s, 0, faces, n, wanted), FN_OK);
            }
            rc = fn_tracker_update(tracker, vectors, NULL, ids);
            if (rc != FN_OK) {
                assert_int_equal(rc, FN_ENOMEM);
                failed++;
                assert_int_equal(fn_tracker_update(tracker, vectors, NULL, ids), FN_OK);
            }
            for (size_t k = 0; k < n; k++)
                assert_int_equal(ids[k], k + 1);
        }
        int untouched = fn_alloc_count() < nth;
        fn_alloc_fail_nth(0);
        fn_tracker_free(tracker);
        n_failed += failed;
        assert_true(failed <= 1);
        if (untouched) {
            assert_int_equal(failed, 0);
            break;
        }
        assert_int_equal(failed, 1);
    }
    assert_true(n_failed > 5);
    spread = 0.3F;
}

// --- Cuts ---------------------------------------------------------------------------------------

enum { SCENE_WIDTH = 480, SCENE_HEIGHT = 270 };

// A drawn scene: patches of light of many sizes at places that depend on `scene`, seen from (x, y) at a zoom.
static void draw(unsigned char *rgb, uint64_t scene, double x, double y, double zoom, double gain,
                 double add) {
    seed = scene;
    double patches[40][4];
    for (int i = 0; i < 40; i++) {
        patches[i][0] = uniform() * 1.6 - 0.3;
        patches[i][1] = uniform() * 1.6 - 0.3;
        patches[i][2] = 0.03 + 0.15 * uniform();
        patches[i][3] = 160 * uniform() - 60;
    }
    for (int v = 0; v < SCENE_HEIGHT; v++) {
        for (int u = 0; u < SCENE_WIDTH; u++) {
            double px = ((u + 0.5) / SCENE_WIDTH - 0.5) / zoom + 0.5 + x;
            double py = ((v + 0.5) / SCENE_HEIGHT - 0.5) / zoom + 0.5 + y, value = 90;
            for (int i = 0; i < 40; i++) {
                double dx = px - patches[i][0], dy = py - patches[i][1], r = patches[i][2];
                if (dx * dx + dy * dy < r * r)
                    value += patches[i][3];
            }
            value = value * gain + add;
            memset(rgb + 3 * (v * SCENE_WIDTH + u), value < 0 ? 0 : value > 255 ? 255 : (int)value, 3);
        }
    }
}

static unsigned char scene_pixels[SCENE_WIDTH * SCENE_HEIGHT * 3];
static const fn_image scene_image = {scene_pixels, SCENE_WIDTH, SCENE_HEIGHT, SCENE_WIDTH * 3, FN_PIXEL_RGB8};

static void cuts_are_found_and_motion_is_none(void **state) {
    (void)state;
    int n_missed = 0;
    for (uint64_t s = 1; s <= 20; s++) {
        fn_cut cut = {0};
        draw(scene_pixels, s, 0, 0, 1, 1, 0);
        assert_int_equal(fn_cut_is(&cut, &scene_image), 0); // the first
        for (int i = 1; i <= 8; i++) {                      // a pan of 5 % a frame, with a zoom of 3 %
            draw(scene_pixels, s, 0.05 * i, 0.02 * i, 1 + 0.03 * i, 1, 0);
            assert_int_equal(fn_cut_is(&cut, &scene_image), 0);
        }
        draw(scene_pixels, s, 0.4, 0.16, 1.24, 0.4, 0); // lights off
        assert_int_equal(fn_cut_is(&cut, &scene_image), 0);
        draw(scene_pixels, s, 0.4, 0.16, 1.24, 1.2, 30); // and a flash
        assert_int_equal(fn_cut_is(&cut, &scene_image), 0);
        draw(scene_pixels, s, 0.4, 0.16, 1.24, 1, 0);
        assert_int_equal(fn_cut_is(&cut, &scene_image), 0);
        draw(scene_pixels, s + 100, 0, 0, 1, 1, 0);
        n_missed += fn_cut_is(&cut, &scene_image) != 1;
    }
    assert_in_range(n_missed, 0, 1);
}

static void a_picture_follows_itself_in_any_size_and_format(void **state) {
    (void)state;
    fn_cut cut = {0};
    draw(scene_pixels, 5, 0, 0, 1, 1, 0);
    fn_cut_is(&cut, &scene_image);
    static unsigned char gray[SCENE_WIDTH * SCENE_HEIGHT];
    for (int i = 0; i < SCENE_WIDTH * SCENE_HEIGHT; i++)
        gray[i] = scene_pixels[3 * i];
    // Every third pixel of every third row, bottom-up rows and all.
    fn_image small = {gray, SCENE_WIDTH, SCENE_HEIGHT, SCENE_WIDTH, FN_PIXEL_GRAY8};
    assert_int_equal(fn_cut_is(&cut, &small), 0);
    unsigned char dot[3] = {200, 10, 10};
    fn_image one = {dot, 1, 1, 3, FN_PIXEL_BGR8};
    assert_int_equal(fn_cut_is(&cut, &one), 1); // to an empty picture
    assert_int_equal(fn_cut_is(&cut, &one), 0);
    dot[0] = dot[1] = dot[2] = 255;
    assert_int_equal(fn_cut_is(&cut, &one), 0); // one empty picture to another
    assert_int_equal(fn_cut_is(&cut, &scene_image), 1);
    assert_int_equal(fn_cut_is(NULL, &one), FN_EINVAL);
    one.width = 0;
    assert_int_equal(fn_cut_is(&cut, &one), FN_EINVAL);
    assert_int_equal(fn_cut_is(&cut, NULL), FN_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_person_walking_is_one_track),
        cmocka_unit_test(a_fast_walker_is_followed_by_velocity),
        cmocka_unit_test(two_who_cross_keep_their_tracks),
        cmocka_unit_test(a_hidden_walker_is_met_again_where_he_is_expected),
        cmocka_unit_test(bursts_of_frames_are_no_speed),
        cmocka_unit_test(frames_that_are_not_searched_move_tracks),
        cmocka_unit_test(flicker_of_detection_makes_no_tracks),
        cmocka_unit_test(fifty_faces_are_fifty_tracks),
        cmocka_unit_test(who_returns_in_time_is_known_by_the_vector),
        cmocka_unit_test(a_name_is_not_carried_to_a_face_that_is_not_decided_for_it),
        cmocka_unit_test(a_face_nearer_to_somebody_known_does_not_carry_on_a_stranger),
        cmocka_unit_test(two_who_swap_places_do_not_swap_tracks),
        cmocka_unit_test(a_cut_between_close_ups_begins_a_new_track),
        cmocka_unit_test(a_cut_there_and_back_gives_the_track_back),
        cmocka_unit_test(without_vectors_a_cut_ends_all),
        cmocka_unit_test(single_bad_vectors_do_not_break_a_track),
        cmocka_unit_test(a_face_that_cannot_be_embedded_is_followed_by_place),
        cmocka_unit_test(a_single_false_match_names_nobody),
        cmocka_unit_test(a_clear_majority_is_named_and_does_not_flicker),
        cmocka_unit_test(a_name_is_taken_back_when_hardly_any_vector_agrees),
        cmocka_unit_test(a_person_who_turns_to_the_camera_late_is_still_named),
        cmocka_unit_test(another_person_takes_over_only_with_a_clear_lead),
        cmocka_unit_test(many_candidates_are_bounded_and_the_named_one_stays),
        cmocka_unit_test(votes_are_forgotten_and_cast_again),
        cmocka_unit_test(wrong_arguments_are_refused_and_change_nothing),
        cmocka_unit_test(boxes_far_away_and_huge_do_no_harm),
        cmocka_unit_test(all_tracks_end_at_the_end_and_time_begins_anew),
        cmocka_unit_test(the_same_frames_give_the_same_tracks),
        cmocka_unit_test(memory_does_not_grow_over_a_hundred_thousand_frames),
        cmocka_unit_test(each_failing_allocation_is_reported_and_survived),
        cmocka_unit_test(cuts_are_found_and_motion_is_none),
        cmocka_unit_test(a_picture_follows_itself_in_any_size_and_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
