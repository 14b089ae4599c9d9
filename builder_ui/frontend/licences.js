// The licences of what went into a bundle, as a file beside it.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

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

export function licencesOf(bundle, title) {
  return {
    name: "licences",
    generateBundle() {
      const folders = new Set();
      for (const id of this.getModuleIds()) {
        const folder = packageOf(id.replace(/^\0+/, "").split("?")[0]);
        if (folder) folders.add(folder);
      }
      const texts = [...folders].sort().map(licence);
      if (!texts.length) throw new Error("no package found: the licences would be empty");
      this.emitFile({ type: "asset", fileName: `${bundle}-licences.txt`, source: `${title}\n\n${texts.join(`\n${"-".repeat(100)}\n\n`)}` });
    },
  };
}
