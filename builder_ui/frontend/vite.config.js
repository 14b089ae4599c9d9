// Builds the canvas into ../static: one module, one style sheet, the licences of what went into it, and the manifest that names them.
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig } from "vite";
import { licencesOf } from "./licences.js";

const OUT = resolve(process.env.CANVAS_OUT || resolve(import.meta.dirname, "../static"));

const tidy = {
  name: "tidy",
  buildStart() {
    for (const one of readdirSync(OUT)) if (/^canvas-.*\.(js|css|txt)$/.test(one)) rmSync(join(OUT, one));
  },
};

export default defineConfig({
  base: "./",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  plugins: [tidy, licencesOf("canvas", "What the canvas is made of besides our own code.")],
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
