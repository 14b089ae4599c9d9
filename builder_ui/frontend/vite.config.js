// Builds the canvas into ../static: one module, one style sheet, the licences of what went into it, and the manifest that names them.
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { defineConfig } from "vite";

const OUT = resolve(process.env.CANVAS_OUT || resolve(import.meta.dirname, "../static"));

/** The folder of the package a bundled module came from. */
function packageOf(id) {
  const at = id.lastIndexOf("/node_modules/");
  if (at < 0) return null;
  const parts = id.slice(at + "/node_modules/".length).split("/");
  return id.slice(0, at + "/node_modules/".length) + (parts[0].startsWith("@") ? parts.slice(0, 2).join("/") : parts[0]);
}

function licence(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((one) => /^(licen[cs]e|copying)/i.test(one));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : "The package carries no licence text."}\n`;
}

const licences = {
  name: "licences",
  generateBundle(_options, bundle) {
    const folders = new Set();
    for (const id of this.getModuleIds()) {
      const folder = packageOf(id.replace(/^\0+/, "").split("?")[0]);
      if (folder) folders.add(folder);
    }
    const texts = [...folders].sort().map(licence);
    if (!texts.length) throw new Error(`no package found in ${dirname(OUT)}: the licences would be empty`);
    this.emitFile({ type: "asset", fileName: "canvas-licences.txt", source: `What the canvas is made of besides our own code.\n\n${texts.join(`\n${"-".repeat(100)}\n\n`)}` });
  },
};

const tidy = {
  name: "tidy",
  buildStart() {
    for (const one of readdirSync(OUT)) if (/^canvas-.*\.(js|css|txt)$/.test(one)) rmSync(join(OUT, one));
  },
};

export default defineConfig({
  base: "./",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  plugins: [tidy, licences],
  publicDir: false,
  build: {
    outDir: OUT,
    emptyOutDir: false,
    manifest: true,
    minify: true,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      input: { canvas: resolve(import.meta.dirname, "src/main.js") },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name]-[hash].js", assetFileNames: "[name]-[hash][extname]", codeSplitting: false },
    },
  },
});
