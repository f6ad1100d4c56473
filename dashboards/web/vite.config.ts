import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** `npm run dev` takes its data from a coordinator that already runs: set CAIRN_COORDINATOR to its address. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    // The server's content security policy allows files of its own origin only, so nothing becomes a data: URI.
    assetsInlineLimit: 0,
    // Names without hashes: a server that read its list of files at its start also serves a page that was built later.
    rolldownOptions: {
      output: {
        entryFileNames: "assets/[name].js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
      },
    },
  },
  server: { proxy: { "/api": process.env.CAIRN_COORDINATOR ?? "http://127.0.0.1:8080" } },
});
