// SPDX-License-Identifier: Apache-2.0
//
// Training steps of our networks against libtorch on the same networks, in one run:
//     node bench/train.mjs BENCH_TRAIN TORCH_TRAIN|- [NETWORK...]
// TORCH_TRAIN - : there is no libtorch, ours are timed alone. The two take turns, ours before the peer, and the
// FMA peak is measured in each turn. First both must count the same multiply-adds and parameters and, in
// float32, agree on embeddings and gradients from the same weights and images. libtorch runs in the faster of
// its two layouts. Prints Markdown. Threads are pinned by taskset around this script; BENCH_THREADS says how
// many, BENCH_ROUNDS how many turns, BENCH_BATCHES which batches.
import {spawn} from 'node:child_process';
import {readFileSync, mkdtempSync, rmSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {tmpdir} from 'node:os';

const [benchTrain, torchTrain, ...only] = process.argv.slice(2);
const networks = only.length ? only : ['nn4.small2', 'dlib-resnet'];
const threads = Number(process.env.BENCH_THREADS ?? '1');
const rounds = Number(process.env.BENCH_ROUNDS ?? '7');
const batches = (process.env.BENCH_BATCHES ?? '32,256').split(',').map(Number);
const spareMiB = 8192; // memory that is left to others
const folder = mkdtempSync(`${tmpdir()}/bench-train-`);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const spread = (list, show) => `${show(median(list))} (${show(Math.min(...list))}-${show(Math.max(...list))})`;

class Program {
  constructor(file, args) {
    this.file = file;
    this.child = spawn(file, args, {stdio: ['pipe', 'pipe', 'inherit'],
      env: {...process.env, OMP_NUM_THREADS: String(threads)}});
    this.child.on('error', () => {});
    this.child.stdin.on('error', () => {});
    this.lines = createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
  }
  async ask(line) {
    this.child.stdin.write(`${line}\n`);
    const {value, done} = await this.lines.next();
    if (done) throw new Error(`${this.file} ended at '${line}'`);
    return value;
  }
  async number(line) { return Number(await this.ask(line)); }
  end() { this.child.stdin.end(); }
}

function numbers(file) {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

// Largest difference of the embeddings, and |a - b| / |a| of all gradients together.
async function compare(ours, peer, rows) {
  await ours.ask(`gradients ${folder}/ours`);
  await peer.ask(`gradients ${folder}/peer`);
  const a = numbers(`${folder}/ours`), b = numbers(`${folder}/peer`);
  if (a.length !== b.length) throw new Error(`${a.length} numbers against ${b.length}`);
  let worst = 0, off = 0, all = 0;
  for (let i = 0; i < a.length; i++) {
    if (i < rows) {
      worst = Math.max(worst, Math.abs(a[i] - b[i]));
    } else {
      off += (a[i] - b[i]) ** 2;
      all += a[i] ** 2;
    }
  }
  return {embeddings: worst, gradients: Math.sqrt(off / all)};
}

function availableMiB() {
  return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1]) / 1024;
}

async function faster(graph, precision) {
  let best, shortest = Infinity;
  for (const layout of ['planes', 'last']) {
    const peer = new Program(torchTrain, [graph, String(threads), precision, layout]);
    await peer.ask('run 1');
    const ms = await peer.number('run 3');
    peer.end();
    if (ms < shortest) [best, shortest] = [layout, ms];
  }
  return best;
}

async function agree(ours, peer, precision, name) {
  for (const what of ['cost', 'parameters']) {
    const [a, b] = [await ours.ask(what), await peer.ask(what)];
    if (a !== b) throw new Error(`${name}: ${what} is ${a} here, ${b} there`);
  }
  const off = await compare(ours, peer, 32 * 128);
  // Rounding flips some of the millions of ReLUs and maxima: gradients of any two runtimes, the plain reference
  // among them, are about a hundredth apart, while those of the last layer agree within 2e-4.
  if (precision === 'f32' && !(off.embeddings <= 1e-3 && off.gradients <= 5e-2))
    throw new Error(`${name}: embeddings differ by ${off.embeddings}, gradients by ${off.gradients}`);
  return off;
}

async function row(name, precision, batch, known) {
  const graph = `${folder}/graph`, cells = [name, precision, batch];
  if (batch > 32 && known.mib * batch / 32 > availableMiB() - spareMiB)
    return [...cells, `not measured: would take about ${Math.round(known.mib * batch / 32 / 1024)} GiB`, '', '', '', ''];
  const ours = new Program(benchTrain, [name, String(batch), String(threads), precision]);
  await ours.ask(`graph ${graph}`);
  let peer = null;
  if (torchTrain !== '-') {
    known.layout ??= await faster(graph, precision);
    peer = new Program(torchTrain, [graph, String(threads), precision, known.layout]);
    known.off ??= await agree(ours, peer, precision, name);
  }
  const cost = await ours.number('cost'), steps = batch > 32 ? 1 : 3;
  const a = [], b = [], ratio = [], share = [];
  for (let round = -1; round < rounds; round++) { // the first warms up
    const peak = await ours.number('peak'), x = await ours.number(`run ${steps}`);
    const y = peer ? await peer.number(`run ${steps}`) : NaN;
    if (round < 0) continue;
    a.push(1e3 * batch / x);
    b.push(1e3 * batch / y);
    ratio.push(y / x);
    share.push(cost * batch / x / 1e6 / peak / threads);
  }
  known.mib ??= await ours.number('memory') + (peer ? await peer.number('memory') : 0);
  ours.end();
  peer?.end();
  const none = 'not measured', one = (v) => v.toFixed(1), two = (v) => v.toFixed(2), percent = (v) => (100 * v).toFixed(0);
  return [...cells, spread(a, one), peer ? spread(b, one) : none, peer ? spread(ratio, two) : none,
    `${spread(share, percent)} %`,
    known.off ? `${known.off.embeddings.toExponential(1)}, ${known.off.gradients.toExponential(1)}` : none];
}

try {
  console.log('| network | precision | batch | facenet images/s | libtorch images/s | ratio | of f32 FMA peak | difference of embeddings, gradients |');
  console.log('|---|---|---|---|---|---|---|---|');
  for (const name of networks)
    for (const precision of ['f32', 'bf16']) {
      const known = {}; // from the first batch: layout, differences, memory
      for (const batch of batches)
        console.log(`| ${(await row(name, precision, batch, known)).join(' | ')} |`);
    }
} finally {
  rmSync(folder, {recursive: true});
}
