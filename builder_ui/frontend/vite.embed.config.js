// Builds the scripts that customers put on their own sites into ../static: each stands alone, and keeps its name, because foreign pages name it.
import { readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig } from "vite";

const OUT = resolve(process.env.CANVAS_OUT || resolve(import.meta.dirname, "../static"));

const tidy = {
  name: "tidy",
  buildStart() {
    for (const one of readdirSync(OUT)) if (/^embed-.*\.js$/.test(one)) rmSync(join(OUT, one));
  },
};

export default defineConfig({
  base: "./",
  plugins: [tidy],
  publicDir: false,
  build: {
    outDir: OUT,
    emptyOutDir: false,
    minify: true,
    modulePreload: false,
    target: "es2022",
    rolldownOptions: {
      input: Object.fromEntries(["inbox", "form", "site", "push", "push-worker"].map((name) => [name, resolve(import.meta.dirname, `src/embed/${name}.js`)])),
      preserveEntrySignatures: "strict",
      output: { entryFileNames: "embed-[name].js" },
    },
  },
});
