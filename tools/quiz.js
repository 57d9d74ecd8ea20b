/* The quiz of a chapter: a button for each question, and an answer to the choice taken.

   tools/quizzes.py writes the questions, and what each choice deserves, folded, so all
   is there without this script. Nothing is stored, and nothing is sent. */
"use strict";

(() => {
  function element(kind, properties) {
    return Object.assign(document.createElement(kind), properties);
  }

  class Quiz {
    constructor(holder) {
      this.items = [...holder.querySelectorAll(":scope > ol > li")];
      this.first = new Map(); // question -> whether its first answer was right
      this.result = element("p", { className: "result" });
      this.result.setAttribute("role", "status");
      this.items.forEach((item, place) => this.prepare(item, place + 1));
      holder.append(this.result);
    }

    prepare(item, number) {
      const button = element("button", { type: "button", textContent: "Check" });
      const words = element("span", { textContent: ` question ${number}` });
      words.className = "visually-hidden";
      button.append(words);
      const status = element("p", { className: "answer" });
      status.setAttribute("role", "status");
      const fieldset = item.querySelector("fieldset");
      fieldset.after(button, status);
      button.addEventListener("click", () => this.check(item, status));
      fieldset.addEventListener("change", () => {
        status.textContent = ""; // the answer to another choice
        delete status.dataset.right;
      });
    }

    check(item, status) {
      const taken = item.querySelector("input:checked");
      if (!taken) {
        status.textContent = "Choose an answer first.";
        return;
      }
      const answer = item.querySelector(`[data-letter="${taken.value}"]`);
      const right = answer.dataset.right === "true";
      status.dataset.right = String(right);
      status.innerHTML = answer.innerHTML; // written by the build, not by a reader
      const link = item.querySelector("details a").cloneNode(true);
      status.append(" ", link, ".");
      if (!this.first.has(item)) this.first.set(item, right);
      if (this.first.size === this.items.length) this.count();
    }

    count() {
      const right = [...this.first.values()].filter(Boolean).length;
      this.result.textContent =
        `${right} of ${this.items.length} right at the first try.`;
    }
  }

  document.addEventListener("DOMContentLoaded", () =>
    document.querySelectorAll(".quiz").forEach((holder) => new Quiz(holder)),
  );
})();
