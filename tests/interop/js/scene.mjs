// What both scripts share: where the exchange is, an end within a minute, waiting for messages.
export const scene = JSON.parse(process.env.SCENE);
export const SYMBOL = "BTCUSDT";
export const WITHIN_MS = 20_000;
const RUN_MS = 60_000;

/** A promise of the first message that `wanted` likes, of those that `listen` hands to its callback. */
export function first(what, listen, wanted = () => true) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not heard within ${WITHIN_MS} ms: ${what}`)), WITHIN_MS);
    listen((message) => {
      if (wanted(message)) {
        clearTimeout(late);
        resolve(message);
      }
    });
  });
}

/** Runs a script's steps; the last line on stdout names those that were taken. */
export async function run(steps) {
  const taken = [];
  setTimeout(() => {
    console.error(`still at work ${RUN_MS} ms after the start; done: ${JSON.stringify(taken)}`);
    process.exit(1);
  }, RUN_MS);
  try {
    for (const [name, step] of Object.entries(steps)) {
      await step();
      taken.push(name);
    }
    console.log(JSON.stringify(taken));
    process.exit(0);
  } catch (error) {
    console.error(`after ${JSON.stringify(taken)}:`, error);
    process.exit(1);
  }
}
