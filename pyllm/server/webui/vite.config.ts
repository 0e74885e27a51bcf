import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the page may live below a path of a reverse proxy
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: ["chrome123", "firefox128", "safari17.5"], // light-dark() in CSS: browsers of 2024 and later
    assetsInlineLimit: 0, // nothing inline: the Content-Security-Policy stays at 'self'
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    rolldownOptions: { output: { codeSplitting: false } },
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});
