// SPDX-License-Identifier: Apache-2.0
//
// Our networks against ONNX Runtime on the same ONNX files, in one run:
//     node bench/nets.mjs BENCH_NET MODEL_FOLDER FOLDER_WITH_onnxruntime-node [NAME...]
// The two take turns in short blocks; medians and the ratio of medians are printed as a Markdown table, after
// the outputs have been found equal. Threads are pinned by taskset around this script.
import {spawn} from 'node:child_process';
import {readFileSync, rmSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';

const [benchNet, models, ortFolder, ...only] = process.argv.slice(2);
const ort = createRequire(`${ortFolder}/package.json`)('onnxruntime-node');
const names = only.length ? only : ['mobilefacenet', 'dlib', 'blazeface-short', 'blazeface-full', 'landmarks-68'];
const sizes = {'mobilefacenet': 112, 'dlib': 150, 'blazeface-short': 128, 'blazeface-full': 192,
  'landmarks-68': 112, 'ssd-mobilenetv1': 512};
const cores = Number(process.env.BENCH_THREADS ?? '1');
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

class Ours {
  constructor(file, batch) {
    this.child = spawn(benchNet, [file, String(batch), String(cores)], {stdio: ['pipe', 'pipe', 'inherit']});
    this.lines = createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
  }
  async ask(line) {
    this.child.stdin.write(`${line}\n`);
    const {value, done} = await this.lines.next();
    if (done) throw new Error(`bench_net ended at '${line}'`);
    return value;
  }
  end() { this.child.stdin.end(); }
}

console.log('| network | batch | facenet ms/item | ONNX Runtime ms/item | ratio | of FMA peak | largest difference |');
console.log('|---|---|---|---|---|---|---|');
for (const name of names) {
  for (const batch of [1, 16]) {
    const file = `${models}/${name}.onnx`, side = sizes[name];
    const data = new Float32Array(batch * 3 * side * side).map((_, i) => Math.sin(Math.fround(Math.fround(0.01) * i)));
    const feeds = {input: new ort.Tensor('float32', data, [batch, 3, side, side])};
    const session = await ort.InferenceSession.create(file, {intraOpNumThreads: cores, interOpNumThreads: 1,
      graphOptimizationLevel: 'all'});
    feeds[session.inputNames[0]] = feeds.input;
    const ours = new Ours(file, batch);
    const out = `${tmpdir()}/bench-${process.pid}.f32`;
    const [, macs] = (await ours.ask(`output ${out}`)).split(' ').map(Number);
    const bytes = readFileSync(out);
    rmSync(out);
    const got = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const theirs = await session.run(feeds);
    let worst = 0, most = 0, at = 0; // ours are item by item, theirs output by output
    for (const key of session.outputNames) {
      const t = theirs[key].data, per = t.length / batch, stride = got.length / batch;
      for (let i = 0; i < t.length; i++) {
        most = Math.max(most, Math.abs(t[i]));
        worst = Math.max(worst, Math.abs(t[i] - got[Math.floor(i / per) * stride + at + i % per]));
      }
      at += per;
    }
    if (!(worst <= 1e-4 * Math.max(1, most))) throw new Error(`${name}: outputs differ by ${worst} of ${most}`);
    const peak = Number(await ours.ask('peak'));
    const per = batch > 1 ? 6 : 20, a = [], b = [];
    await ours.ask(`run ${per}`);
    for (let i = 0; i < per; i++) await session.run(feeds);
    for (let round = 0; round < 11; round++) {
      a.push(Number(await ours.ask(`run ${per}`)));
      const times = [];
      for (let i = 0; i < per; i++) {
        const start = performance.now();
        await session.run(feeds);
        times.push(performance.now() - start);
      }
      b.push(median(times));
    }
    ours.end();
    const x = median(a), y = median(b);
    console.log(`| ${name} | ${batch} | ${(x / batch).toFixed(2)} | ${(y / batch).toFixed(2)} | ${(y / x).toFixed(2)} | ` +
      `${(100 * macs * batch / x / 1e6 / peak / cores).toFixed(0)} % | ${worst.toExponential(1)} of ${most.toPrecision(2)} |`);
  }
}
