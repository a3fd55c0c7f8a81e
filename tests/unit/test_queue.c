// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/queue.h"

#include <facenet/base.h>

enum { HANG_MS = 60000, N = 1000 };

static void items_come_out_in_their_order(void **state) {
    (void)state;
    fn_queue queue;
    int items[3];
    fn_queue_init(&queue, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fn_queue_push(&queue, &items[i]), 1);
    assert_ptr_equal(fn_queue_pop(&queue), &items[0]);
    assert_int_equal(fn_queue_push(&queue, &items[0]), 1);
    assert_ptr_equal(fn_queue_pop(&queue), &items[1]);
    fn_queue_stop(&queue);
    assert_null(fn_queue_pop(&queue));
    assert_int_equal(fn_queue_push(&queue, &items[1]), 0);
    assert_ptr_equal(fn_queue_drain(&queue), &items[2]);
    assert_ptr_equal(fn_queue_drain(&queue), &items[0]);
    assert_null(fn_queue_drain(&queue));
    fn_queue_destroy(&queue);
}

static void a_wait_says_whether_there_is_something(void **state) {
    (void)state;
    fn_queue queue;
    int item;
    fn_queue_init(&queue, 1);
    assert_int_equal(fn_queue_wait(&queue, 0), 0);
    const int64_t start_ms = fn_clock_ms();
    assert_int_equal(fn_queue_wait(&queue, 30), 0);
    assert_true(fn_clock_ms() - start_ms >= 29);
    assert_int_equal(fn_queue_push(&queue, &item), 1);
    assert_int_equal(fn_queue_wait(&queue, 0), 1);
    assert_int_equal(fn_queue_wait(&queue, HANG_MS), 1); // and the item is still there
    assert_ptr_equal(fn_queue_pop(&queue), &item);
    assert_int_equal(fn_queue_wait(&queue, 0), 0);
    fn_queue_stop(&queue);
    assert_int_equal(fn_queue_wait(&queue, HANG_MS), 1); // a pop would not wait any more
    fn_queue_destroy(&queue);
}

static void *push_all(void *argument) {
    static int items[N];
    for (int i = 0; i < N; i++) {
        items[i] = i;
        if (!fn_queue_push(argument, &items[i]))
            return NULL;
    }
    fn_queue_stop(argument);
    return NULL;
}

static void a_wait_is_woken_by_the_other_thread(void **state) {
    (void)state;
    fn_queue queue;
    pthread_t thread;
    int n = 0;
    fn_queue_init(&queue, 2);
    assert_int_equal(pthread_create(&thread, NULL, push_all, &queue), 0);
    while (fn_queue_wait(&queue, HANG_MS)) {
        const int *item = fn_queue_pop(&queue);
        if (!item)
            break;
        assert_int_equal(*item, n++);
    }
    pthread_join(thread, NULL);
    for (const int *item; (item = fn_queue_drain(&queue));)
        assert_int_equal(*item, n++);
    assert_int_equal(n, N);
    fn_queue_destroy(&queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_their_order),
        cmocka_unit_test(a_wait_says_whether_there_is_something),
        cmocka_unit_test(a_wait_is_woken_by_the_other_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
