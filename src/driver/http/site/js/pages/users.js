// Accounts, for admins.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { login } from "../login.js";
import { action, badge, confirm, scroller, toast } from "../ui.js";

const ROLES = ["learner", "operator", "admin"];

export default async function page({ main, signal, title }) {
  title("Users");
  const rows = h("tbody"), older = h("div.row");
  const more = async (cursor) => {
    const answer = await get(`/users?limit=100${cursor ? `&cursor=${cursor}` : ""}`, signal);
    rows.append(...answer.data.map(row));
    fill(older, answer.next_cursor && action("Show more", {}, () => more(answer.next_cursor)));
  };
  await more();
  fill(main, h("div.head", {}, h("div", {}, h("h1", {}, "Users"), h("p", {}, "A new role and a closed account end all tokens of it within two seconds."))),
    h("section.panel.flush", { "aria-label": "Users" }, scroller("Users", h("table", {}, h("thead", {}, h("tr", {}, ["Name", "E-mail", "Role", "State", "Change"].map((name) => h("th", { scope: "col" }, name)))), rows))), older);
}

function row(user) {
  const me = user.id === login.user.id;
  const name = user.name || user.username || user.email || user.id;
  const element = h("tr");
  const changed = async (what, body, words) => {
    const now = await post(`/users/${user.id}/${what}`, body);
    toast(words);
    element.replaceWith(row(now));
  };
  const role = h("select", { "aria-label": `Role of ${name}`, disabled: me || user.disabled, onchange: async () => {
    const wanted = role.value;
    const sure = await confirm({ title: `Make ${name} ${wanted}?`, text: "All tokens of this account end; the next sign-in has the new role.", yes: "Change the role", danger: false, no: "Leave it" });
    if (!sure) { role.value = user.role; return; }
    await changed("role", { role: wanted }, `${name} is ${wanted} now.`).catch((problem) => { role.value = user.role; toast(problem.message); });
  } }, ROLES.map((one) => h("option", { value: one, selected: one === user.role }, one)));
  const button = user.disabled
    ? action("Open", { class: "tiny", "aria-label": `Open the account of ${name}` }, () => changed("enable", undefined, `${name} may sign in again.`))
    : action("Close", { class: "tiny danger", disabled: me, "aria-label": `Close the account of ${name}` }, async () => {
      if (await confirm({ title: `Close the account of ${name}?`, text: "Nobody can sign in with it until it is opened again. What it did stays.", yes: "Close it", no: "Leave it" })) await changed("disable", undefined, `The account of ${name} is closed.`);
    });
  return fill(element, h("td", {}, name, me && h("span.tag", {}, "you")), h("td", {}, user.email ?? "–"), h("td", {}, role), h("td", {}, badge(user.disabled ? "disabled" : "active")), h("td", {}, button));
}
