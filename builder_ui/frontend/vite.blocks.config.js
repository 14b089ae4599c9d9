// Builds the block editor of mails into ../static, as vite.config.js builds the canvas: one module, loaded when somebody opens a mail as blocks.
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig } from "vite";
import { licencesOf } from "./licences.js";

const OUT = resolve(process.env.CANVAS_OUT || resolve(import.meta.dirname, "../static"));

const tidy = {
  name: "tidy",
  buildStart() {
    for (const one of readdirSync(OUT)) if (/^blocks-.*\.(js|txt)$/.test(one)) rmSync(join(OUT, one));
  },
};

export default defineConfig({
  base: "./",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  plugins: [tidy, licencesOf("blocks", "What the block editor of mails is made of besides our own code.")],
  publicDir: false,
  build: {
    outDir: OUT,
    emptyOutDir: false,
    manifest: ".vite/blocks.json",
    minify: true,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      input: { blocks: resolve(import.meta.dirname, "src/blocks/main.jsx") },
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "[name]-[hash].js", codeSplitting: false },
    },
  },
});
