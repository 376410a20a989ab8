// Graphile Worker as its makers measure it: a local queue, completions in batches, tasks that do nothing.
// Usage: node graphile_worker.js install|work SIZE, with libpq's variables; speaks as benchmarks/claims.py listens.

const { run, runMigrations, Logger } = require("graphile-worker");

const IDLE = 700; // ms without a job: the line is empty
const jobs = 24;
const preset = {
  worker: {
    connectionString: "postgres:///" + process.env.PGDATABASE,
    concurrentJobs: jobs,
    maxPoolSize: jobs + 1,
    localQueue: { size: Number(process.argv[3]) },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
    logger: new Logger(() => () => {}),
  },
};
let done = 0, last = 0;

async function work() {
  done++;
  last = Date.now();
}

async function main() {
  if (process.argv[2] === "install") return runMigrations({ preset });
  console.log("ready");
  await new Promise((go) => process.stdin.once("data", go));
  const runner = await run({ preset, taskList: { work }, parsedCronItems: [] });
  const first = Date.now();
  while (Date.now() - Math.max(last, first) < IDLE) await new Promise((go) => setTimeout(go, 100));
  await runner.stop();
  console.log(JSON.stringify({ done, first: first / 1000, last: last / 1000 }));
}

main().then(() => process.exit(0));
