// Builds the editor of templates into ../static, as vite.config.js builds the canvas: one module, its licences, and a manifest of its own.
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig } from "vite";
import { licencesOf } from "./licences.js";

const OUT = resolve(process.env.CANVAS_OUT || resolve(import.meta.dirname, "../static"));

const tidy = {
  name: "tidy",
  buildStart() {
    for (const one of readdirSync(OUT)) if (/^editor-.*\.(js|txt)$/.test(one)) rmSync(join(OUT, one));
  },
};

export default defineConfig({
  base: "./",
  plugins: [tidy, licencesOf("editor", "What the editor of templates is made of besides our own code.")],
  publicDir: false,
  build: {
    outDir: OUT,
    emptyOutDir: false,
    manifest: ".vite/editor.json",
    minify: true,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      input: { editor: resolve(import.meta.dirname, "src/writing/main.js") },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name]-[hash].js", codeSplitting: false },
    },
  },
});
