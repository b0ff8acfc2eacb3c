// node score.mjs model.gguf text.txt: the token ids of the text, its mean negative log-likelihood
// and the greedy continuation, by llama.cpp.
import fs from 'node:fs';
import {getLlama, LlamaLogLevel} from 'node-llama-cpp';

const llama = await getLlama({
  gpu: false, build: 'never', skipDownload: true, maxThreads: 2, logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({modelPath: process.argv[2], gpuLayers: 0});
const ids = model.tokenize(fs.readFileSync(process.argv[3], 'utf8'), false);
const context = await model.createContext({
  contextSize: 512, flashAttention: false,
  experimentalKvCacheKeyType: 'F32', experimentalKvCacheValueType: 'F32',
});
const sequence = context.getSequence();
// The filter's own maximum is not reliable, so the largest of what comes back is taken.
const wanted = (next) => ({generateNext: {
  logits: {filter: {tokens: next === undefined ? [] : [next], includeTop: 1}},
  totalLogitWeight: true,
}});
const out = await sequence.controlledEvaluate(ids.map((id, i) => [id, wanted(ids[i + 1])]));
let nll = 0;
for (let i = 0; i + 1 < ids.length; i++) {
  const {logits, totalLogitWeight} = out[i].next;
  nll -= logits.get(ids[i + 1]) - Math.max(...logits.values()) - Math.log(totalLogitWeight);
}
const best = (logits) => [...logits].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
const greedy = [best(out[ids.length - 1].next.logits)];
while (greedy.length < 16) {
  const [step] = await sequence.controlledEvaluate([[greedy.at(-1), wanted()]]);
  greedy.push(best(step.next.logits));
}
console.log(JSON.stringify({ids, nll: nll / (ids.length - 1), greedy}));
process.exit(0);
