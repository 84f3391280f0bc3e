// What every page has. Each module reads `data-` attributes, so that pages need no script of their own.
import htmx from "htmx.org";
import "./frame.js";
import "./forms.js";
import "./drafts.js";
import "./lists.js";
import "./keys.js";
import "./uploads.js";
import "./decision.js";

// Pages carry the same settings in a meta element; here they hold even for a page that forgot it.
// An answer of 4xx or 5xx carries words for the reader, so it is shown in the place of what was asked for.
Object.assign(htmx.config, {
  allowEval: false,
  includeIndicatorStyles: false,
  allowScriptTags: false,
  selfRequestsOnly: true,
  historyEnabled: false,
  responseHandling: [
    { code: "204", swap: false },
    { code: "...", swap: true },
  ],
});
