// SPDX-License-Identifier: Apache-2.0
//
// Another runtime's word on model files: onnxruntime.mjs BENCH_NET FOLDER_WITH_onnxruntime-node MODEL...
// prints for each the largest difference between its outputs and ours on one batch of waves, and ends with 1
// where that is above 1e-4.
import {spawnSync} from 'node:child_process';
import {readFileSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';

const [benchNet, folder, ...models] = process.argv.slice(2);
const ort = createRequire(`${folder}/package.json`)('onnxruntime-node');
const batch = 3;
let failed = 0;
for (const model of models) {
  const session = await ort.InferenceSession.create(model, {intraOpNumThreads: 1});
  const shape = session.inputMetadata[0].shape.map((n, i) => (i === 0 ? batch : n));
  const data = new Float32Array(shape.reduce((a, b) => a * b)).map((_, i) =>
    Math.sin(Math.fround(Math.fround(0.01) * i)));
  const theirs = (await session.run({[session.inputNames[0]]: new ort.Tensor('float32', data, shape)}))[
    session.outputNames[0]].data;
  const out = `${tmpdir()}/onnxruntime-${process.pid}.f32`;
  const run = spawnSync(benchNet, [model, String(batch), '1'], {input: `output ${out}\n`});
  if (run.status !== 0) throw new Error(`${model}: ${run.stderr}`);
  const bytes = readFileSync(out);
  rmSync(out);
  const ours = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  if (ours.length !== theirs.length) throw new Error(`${model}: ${ours.length} numbers, there ${theirs.length}`);
  let worst = 0;
  for (let i = 0; i < ours.length; i++) worst = Math.max(worst, Math.abs(ours[i] - theirs[i]));
  console.log(`${model}\t${worst.toExponential(1)}`);
  failed ||= !(worst <= 1e-4);
}
process.exit(failed ? 1 : 0);
