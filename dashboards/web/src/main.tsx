/** Joins the page to the browser: its clock, its requests, its events, its language. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { openFeed } from "./live/feed.ts";
import { Page } from "./Page.tsx";
import { messagesFor } from "./words/messages.ts";
import "./page.css";
import "./strips.css";
import "./tables.css";
import "./tables-phone.css";
import "./node/node.css";

const feed = openFeed({
  fetch: (...request) => fetch(...request),
  open: (url) => new EventSource(url),
  now: Date.now,
  random: Math.random,
  setTimer: (run, ms) => setTimeout(run, ms),
  clearTimer: (timer) => clearTimeout(timer as number),
});
const language = navigator.language;
document.documentElement.lang = messagesFor(language).language;

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no element #root");
createRoot(root).render(
  <StrictMode>
    <Page feed={feed} language={language} />
  </StrictMode>,
);
