// Bundles css and js into web/static/build under names that carry their content's hash, so that a browser may keep
// them for ever; manifest.json tells the pages which name is today's.
import { build, context } from "esbuild";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "..", "static", "build");
const watching = process.argv.includes("--watch");

const manifest = {
  name: "manifest",
  setup(bundler) {
    bundler.onEnd(async ({ metafile, errors }) => {
      if (errors.length) return;
      const names = Object.entries(metafile.outputs)
        .filter(([, result]) => result.entryPoint)
        .map(([path, result]) => [entryName(result.entryPoint), basename(path)]);
      await writeFile(join(output, "manifest.json"), JSON.stringify(Object.fromEntries(names), null, 2));
      await removeOthers(new Set(names.map(([, built]) => built)));
    });
  },
};

// The bundles of before go last: a page that was just sent may still be asking for its own.
async function removeOthers(built) {
  for (const name of await readdir(output)) {
    if (name !== "manifest.json" && !built.has(name)) await rm(join(output, name));
  }
}

// `css/app.css` is asked for as `app.css`, `js/diagram.js` as `diagram.js`.
function entryName(path) {
  return basename(path);
}

const options = {
  absWorkingDir: here,
  entryPoints: ["css/app.css", "css/applications.css", "css/compare.css", "css/diagram.css", "css/procedures.css", "css/numbers.css", "js/app.js", "js/applications.js", "js/compare.js", "js/diagram.js"],
  outdir: output,
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  bundle: true,
  minify: !watching,
  metafile: true,
  format: "esm",
  // Browsers of school offices are often years behind.
  target: ["chrome90", "firefox90", "safari15"],
  loader: { ".woff": "dataurl", ".woff2": "dataurl", ".ttf": "dataurl", ".eot": "dataurl", ".svg": "dataurl" },
  logLevel: "info",
  plugins: [manifest],
};

await mkdir(output, { recursive: true });
if (watching) {
  await (await context(options)).watch();
} else {
  await build(options);
}
