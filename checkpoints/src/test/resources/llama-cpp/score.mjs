// node score.mjs model.gguf text.txt [prompt.txt count], by llama.cpp: the token ids of the text,
// its mean negative log-likelihood and the greedy continuation of it. With a prompt, the text ends
// with the token that says so, and the prompt is continued to that token or by as many as count.
import fs from 'node:fs';
import {getLlama, LlamaLogLevel} from 'node-llama-cpp';

const [modelPath, textPath, promptPath, count] = process.argv.slice(2);
const llama = await getLlama({
  gpu: false, build: 'never', skipDownload: true, maxThreads: 2, logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({modelPath, gpuLayers: 0});
const encode = (path) => model.tokenize(fs.readFileSync(path, 'utf8'), false);
const ids = encode(textPath);
const end = model.tokens.eos;
if (promptPath) ids.push(end);
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
let out = await sequence.controlledEvaluate(ids.map((id, i) => [id, wanted(ids[i + 1])]));
let nll = 0;
for (let i = 0; i + 1 < ids.length; i++) {
  const {logits, totalLogitWeight} = out[i].next;
  nll -= logits.get(ids[i + 1]) - Math.max(...logits.values()) - Math.log(totalLogitWeight);
}
if (promptPath) {
  await sequence.clearHistory();
  out = await sequence.controlledEvaluate(encode(promptPath).map((id) => [id, wanted()]));
}
const best = (logits) => [...logits].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
const greedy = [best(out.at(-1).next.logits)];
while (greedy.length < (count ?? 16) && !(promptPath && greedy.at(-1) === end)) {
  const [step] = await sequence.controlledEvaluate([[greedy.at(-1), wanted()]]);
  greedy.push(best(step.next.logits));
}
console.log(JSON.stringify({ids, nll: nll / (ids.length - 1), greedy, end}));
process.exit(0);
