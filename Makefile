# SPDX-License-Identifier: Apache-2.0
# Thin: each target calls tools/bootstrap and CMake's presets.
JOBS ?= $(shell nproc)

.PHONY: help run test bench build lint format clean

help:
	@echo "make run     build, fetch the models, recognise faces in demo photographs, write to out/"
	@echo "make test    build and pass every test"
	@echo "make bench   our networks against ONNX Runtime, training against libtorch, the whole road, in ratios"
	@echo "make build   build the library and the program into build/release"
	@echo "make lint    layout, banned functions, direction of the includes, headers that stand alone"
	@echo "make format  lay the sources out by clang-format"
	@echo "make clean   remove build/ and out/"

build:
	@tools/bootstrap
	@cmake --preset release > /dev/null
	@cmake --build --preset release -j $(JOBS)

run: build
	@tools/demo build/release/cli/facenet out

test:
	@tools/bootstrap --test
	@$(MAKE) --no-print-directory build
	@tools/run-tests release

bench: build
	@tools/bench build/release

lint:
	@tools/bootstrap --dev
	@tools/lint

format:
	@tools/bootstrap --dev
	@find . -path ./build -prune -o -name '*.[ch]' -exec clang-format -i {} +

clean:
	rm -rf build out
