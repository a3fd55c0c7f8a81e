// SPDX-License-Identifier: Apache-2.0
//
// The peer of bench_train: the same training step by libtorch, on a network that bench_train wrote.
//     torch_train GRAPH THREADS [f32|bf16] [planes|last]
// GRAPH and GRAPH.f32 are as bench/describe.h says; the batch is that of the description, the images and the
// step are those of bench_train. bf16 is autocast, as libtorch offers it. last: channels are the fastest
// dimension of activations and kernels. Commands of standard input are run N, cost, parameters,
// gradients FILE and memory, answered as by bench_train; cost is counted here from the tensors that
// convolutions and products really see.
// The only use of libtorch: tools/bench compiles it where Debian's libtorch-dev is installed.
#include <torch/torch.h>

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <vector>

using torch::Tensor;
using numbers = std::vector<int64_t>;

namespace {

struct node {
    std::string op;
    numbers inputs, shape;
    int64_t output;
    std::map<std::string, std::string> attributes;
};

struct network {
    std::vector<node> nodes;
    std::map<int64_t, Tensor> values; // by number: constants stay, results of a pass come and go
    std::vector<Tensor> trained;      // in the order of the file
    std::map<int64_t, numbers> ints;  // constants that are integers
    std::map<int64_t, int> readers;
    int64_t input, output;
    numbers input_shape;
    bool last = false; // channels are the fastest dimension
    int64_t cost = 0, first_cost = 0;
};

numbers list_of(const std::string &text) {
    numbers list;
    std::stringstream in(text);
    for (std::string word; text != "-" && std::getline(in, word, ',');)
        list.push_back(std::stoll(word));
    return list;
}

Tensor laid_out(const network &net, const Tensor &x) {
    return net.last && x.dim() == 4 ? x.contiguous(torch::MemoryFormat::ChannelsLast) : x;
}

void read_constant(network &net, std::istream &line, std::istream &data) {
    int64_t value;
    std::string kind, shape;
    line >> value >> kind >> shape;
    Tensor x = torch::empty(list_of(shape));
    data.read(static_cast<char *>(x.data_ptr()), static_cast<std::streamsize>(x.numel() * sizeof(float)));
    if (!data)
        throw std::runtime_error("the numbers of the constants end too early");
    x = laid_out(net, x);
    if (kind == "trained") {
        x.set_requires_grad(true);
        net.trained.push_back(x);
    }
    net.values[value] = x;
}

void read_node(network &net, std::istream &line) {
    node n;
    std::string inputs, shape, attribute;
    line >> n.op >> inputs >> n.output >> shape;
    n.inputs = list_of(inputs);
    n.shape = list_of(shape);
    while (line >> attribute)
        n.attributes[attribute.substr(0, attribute.find('='))] = attribute.substr(attribute.find('=') + 1);
    for (int64_t i : n.inputs)
        net.readers[i]++;
    net.nodes.push_back(n);
}

network read_network(const std::string &path, bool last) {
    network net;
    std::ifstream text(path), data(path + ".f32", std::ios::binary);
    net.last = last;
    for (std::string row; std::getline(text, row);) {
        std::stringstream line(row);
        std::string what, words;
        int64_t value;
        line >> what;
        if (what == "input") {
            line >> net.input >> words;
            net.input_shape = list_of(words);
        } else if (what == "constant") {
            read_constant(net, line, data);
        } else if (what == "integers") {
            line >> value >> words;
            net.ints[value] = list_of(words);
        } else if (what == "node") {
            read_node(net, line);
        } else if (what == "output") {
            line >> net.output;
        }
    }
    if (net.nodes.empty())
        throw std::runtime_error(path + ": no network");
    return net;
}

numbers ints(const node &n, const char *name, numbers absent) {
    auto at = n.attributes.find(name);
    return at == n.attributes.end() ? absent : list_of(at->second);
}

double real(const node &n, const char *name, double absent) {
    auto at = n.attributes.find(name);
    return at == n.attributes.end() ? absent : std::stod(at->second);
}

Tensor input_of(const network &net, const node &n, size_t i) {
    return i < n.inputs.size() && n.inputs[i] >= 0 ? net.values.at(n.inputs[i]) : Tensor();
}

/// Padding of a window in torch's terms: what is uneven is added to x.
numbers padded(Tensor &x, const node &n, double with) {
    numbers p = ints(n, "pads", {0, 0, 0, 0});
    if (p[0] == p[2] && p[1] == p[3])
        return {p[0], p[1]};
    x = torch::constant_pad_nd(x, {p[1], p[3], p[0], p[2]}, with);
    return {0, 0};
}

Tensor convolution(network &net, const node &n) {
    Tensor x = input_of(net, n, 0), w = input_of(net, n, 1);
    numbers pads = padded(x, n, 0);
    Tensor y = torch::conv2d(x, w, input_of(net, n, 2), ints(n, "strides", {1, 1}), pads,
                             ints(n, "dilations", {1, 1}), ints(n, "group", {1})[0]);
    int64_t cost = y.numel() * w.numel() / w.size(0);
    net.first_cost += n.inputs[0] == net.input ? cost : 0;
    net.cost += cost;
    return y;
}

Tensor product(network &net, const node &n) {
    Tensor x = input_of(net, n, 0), w = input_of(net, n, 1);
    if (ints(n, "transB", {0})[0] == 0)
        w = w.t();
    net.cost += x.size(0) * w.numel();
    return torch::linear(x, w, input_of(net, n, 2));
}

/// As OpenFace trained it: squares, mean, root; the small number keeps the root's slope finite at 0.
Tensor power_pool(const Tensor &in, const node &n) {
    Tensor x = in * in;
    numbers pads = padded(x, n, 0);
    return torch::avg_pool2d(x, ints(n, "kernel_shape", {}), ints(n, "strides", {1, 1}), pads, false, true, 1)
        .add_(1e-12)
        .sqrt_();
}

Tensor pad(const network &net, const node &n) {
    const numbers &p = net.ints.at(n.inputs[1]);
    size_t rank = p.size() / 2;
    numbers torch_pads;
    for (size_t i = rank; i-- > 0;) {
        torch_pads.push_back(p[i]);
        torch_pads.push_back(p[i + rank]);
    }
    return torch::constant_pad_nd(input_of(net, n, 0), torch_pads, 0);
}

Tensor joined(const network &net, const node &n) {
    std::vector<Tensor> parts;
    for (size_t i = 0; i < n.inputs.size(); i++)
        parts.push_back(input_of(net, n, i));
    return torch::cat(parts, ints(n, "axis", {1})[0]);
}

Tensor result_of(network &net, const node &n) {
    namespace functional = torch::nn::functional;
    Tensor x = input_of(net, n, 0);
    if (n.op == "Conv")
        return convolution(net, n);
    if (n.op == "BatchNormalization")
        return torch::batch_norm(x, input_of(net, n, 1), input_of(net, n, 2), input_of(net, n, 3),
                                 input_of(net, n, 4), true, 0.1, real(n, "epsilon", 1e-5), true);
    if (n.op == "Relu") // in place where nobody else reads what it replaces
        return net.readers[n.inputs[0]] == 1 ? torch::relu_(x) : torch::relu(x);
    if (n.op == "MaxPool") {
        numbers pads = padded(x, n, -INFINITY);
        return torch::max_pool2d(x, ints(n, "kernel_shape", {}), ints(n, "strides", {1, 1}), pads);
    }
    if (n.op == "AveragePool") {
        numbers pads = padded(x, n, 0);
        return torch::avg_pool2d(x, ints(n, "kernel_shape", {}), ints(n, "strides", {1, 1}), pads, false,
                                 ints(n, "count_include_pad", {0})[0] != 0);
    }
    if (n.op == "LpPool")
        return power_pool(x, n);
    if (n.op == "GlobalAveragePool")
        return torch::adaptive_avg_pool2d(x, {1, 1});
    if (n.op == "LRN")
        return functional::local_response_norm(
            x, functional::LocalResponseNormFuncOptions(ints(n, "size", {})[0])
                   .alpha(real(n, "alpha", 1e-4))
                   .beta(real(n, "beta", 0.75))
                   .k(real(n, "bias", 1)));
    if (n.op == "Concat")
        return joined(net, n);
    if (n.op == "Add")
        return x + input_of(net, n, 1);
    if (n.op == "Pad")
        return pad(net, n);
    if (n.op == "Flatten")
        return x.flatten(1);
    if (n.op == "Gemm")
        return product(net, n);
    if (n.op == "LpNormalization")
        return functional::normalize(x, functional::NormalizeFuncOptions().p(2).dim(1));
    throw std::runtime_error(n.op + ": an operator that this peer does not have");
}

Tensor forward(network &net, const Tensor &images, bool bf16) {
    net.cost = net.first_cost = 0;
    at::autocast::set_cpu_enabled(bf16);
    net.values[net.input] = images;
    for (const node &n : net.nodes) {
        Tensor y = result_of(net, n);
        if (y.sizes() != n.shape)
            throw std::runtime_error(n.op + ": the result has another shape");
        net.values[n.output] = y;
    }
    Tensor embeddings = net.values[net.output].to(torch::kFloat);
    for (const node &n : net.nodes) // autograd keeps what it needs
        net.values[n.output].reset();
    at::autocast::clear_cache();
    at::autocast::set_cpu_enabled(false);
    return embeddings;
}

/// The gradient of the embeddings is sin(i) over all their numbers, as in bench_train: any fixed one does.
Tensor gradients_of(network &net, const Tensor &images, bool bf16) {
    Tensor embeddings = forward(net, images, bf16);
    Tensor fixed = embeddings.detach();
    Tensor pull = torch::arange(fixed.numel(), torch::kDouble).sin().to(torch::kFloat).reshape(fixed.sizes());
    embeddings.backward(pull);
    return fixed;
}

float pixel_of(uint32_t i) { // as in bench_train.c
    i = (i ^ i >> 16) * 0x7feb352dU;
    i = (i ^ i >> 15) * 0x846ca68bU;
    return static_cast<float>((i ^ i >> 16) >> 8) / 8388608.0F - 1;
}

double run(network &net, torch::optim::SGD &sgd, const Tensor &images, bool bf16, size_t count) {
    using clock = std::chrono::steady_clock;
    std::vector<double> ms;
    for (size_t i = 0; i < count; i++) {
        auto start = clock::now();
        sgd.zero_grad();
        gradients_of(net, images, bf16);
        sgd.step();
        ms.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
    }
    std::sort(ms.begin(), ms.end());
    return ms[count / 2];
}

void put(std::ofstream &file, const Tensor &x) {
    Tensor rows = x.contiguous();
    file.write(static_cast<const char *>(rows.data_ptr()),
               static_cast<std::streamsize>(rows.numel() * sizeof(float)));
}

void obey(network &net, torch::optim::SGD &sgd, const Tensor &images, bool bf16, const std::string &line) {
    std::stringstream in(line);
    std::string word, path;
    size_t count = 0;
    in >> word;
    if (word == "run" && in >> count && count >= 1) {
        std::printf("%.4f\n", run(net, sgd, images, bf16, count));
    } else if (word == "cost") {
        torch::NoGradGuard no_gradients;
        forward(net, images, bf16);
        std::printf("%lld\n",
                    static_cast<long long>((3 * net.cost - net.first_cost) / net.input_shape.at(0)));
    } else if (word == "parameters") {
        int64_t sum = 0;
        for (const Tensor &x : net.trained)
            sum += x.numel();
        std::printf("%lld\n", static_cast<long long>(sum));
    } else if (word == "memory") {
        rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        std::printf("%ld\n", usage.ru_maxrss / 1024);
    } else if (word == "gradients" && in >> path) {
        sgd.zero_grad();
        std::ofstream file(path, std::ios::binary);
        put(file, gradients_of(net, images, bf16));
        for (const Tensor &x : net.trained)
            put(file, x.grad());
        std::puts("ok");
    } else {
        throw std::runtime_error("no such command: " + line);
    }
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::fputs("usage: torch_train GRAPH THREADS [f32|bf16] [planes|last]\n", stderr);
        return 2;
    }
    try {
        const bool bf16 = argc > 3 && std::string(argv[3]) == "bf16";
        torch::set_num_threads(std::stoi(argv[2]));
        at::autocast::set_autocast_cpu_dtype(torch::kBFloat16);
        network net = read_network(argv[1], argc > 4 && std::string(argv[4]) == "last");
        Tensor images = torch::empty(net.input_shape);
        float *pixels = images.data_ptr<float>();
        for (int64_t i = 0; i < images.numel(); i++)
            pixels[i] = pixel_of(static_cast<uint32_t>(i));
        images = laid_out(net, images);
        torch::optim::SGD sgd(net.trained, torch::optim::SGDOptions(1e-4));
        for (std::string line; std::getline(std::cin, line);)
            obey(net, sgd, images, bf16, line);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "torch_train: %s\n", error.what());
        return 1;
    }
    return 0;
}
