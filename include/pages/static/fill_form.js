// Opens a DAG's own trigger form and fills it in when the address asks for it:
//   /dags/rollback_model?fill={"model":"loan_approval"}
// Airflow 3.3 cannot do that by itself: https://github.com/apache/airflow/issues/54800. Once it can,
// this file goes, and include/pages/urls.py writes Airflow's own address.
//
// Airflow loads this as a part of each of its pages (a `react_apps` entry with the destination
// `base`). It only types into the form: a person reads it and sends it, or does not.
const { useEffect } = globalThis.React;
const { useLocation } = globalThis.ReactRouterDOM;

const PATIENCE_MS = 30000;
const LOOK_EVERY_MS = 50;

function found(look) {
  return new Promise((resolve, reject) => {
    const until = Date.now() + PATIENCE_MS;
    const again = () => {
      const element = look();
      if (element) {
        resolve(element);
      } else if (Date.now() > until) {
        reject(new Error("the form of this Airflow looks otherwise than that of 3.3.2"));
      } else {
        setTimeout(again, LOOK_EVERY_MS);
      }
    };
    again();
  });
}

const named = (name) => document.querySelector(`[name="element_${CSS.escape(name)}"]`);
const boxOf = (name) => document.getElementById(`element_${name}`);

async function type(input, text) {
  // A field of numbers listens while it has the focus, and has it a moment later.
  input.focus();
  await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  // React listens to the event, and reads the value that the browser's own setter left.
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(input), "value").set.call(input, text);
  input.dispatchEvent(new Event("input", { bubbles: true }));
}

async function choose(name, text) {
  const list = await found(() => boxOf(name)?.querySelector('[role="combobox"]'));
  list.focus();
  list.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", keyCode: 40, bubbles: true }));
  const option = await found(() =>
    [...document.querySelectorAll('[role="option"]')].find((one) => one.textContent.trim() === text),
  );
  option.click();
}

async function fill(name, value) {
  const field = await found(() => named(name) ?? boxOf(name));
  if (typeof value === "boolean") {
    const box = await found(() => document.querySelector(`input[type="checkbox"][name="element_${CSS.escape(name)}"]`));
    if (box.checked !== value) {
      box.click();
    }
  } else if (boxOf(name)?.querySelector('[role="combobox"]')) {
    await choose(name, String(value));
  } else {
    await type(field, String(value));
  }
}

async function openAndFill(fields) {
  const button = await found(() => document.querySelector('[data-testid="trigger-dag-button"]:not([disabled])'));
  button.click();
  await found(() => document.querySelector('[data-testid="trigger-dag-submit"]'));
  for (const [name, value] of Object.entries(fields)) {
    await fill(name, value);
  }
}

function FillForm() {
  const { pathname, search } = useLocation();
  useEffect(() => {
    const wish = new URLSearchParams(search).get("fill");
    if (!wish || !/\/dags\/[^/]+$/.test(pathname)) {
      return;
    }
    // Once: a page that is loaded again opens no form.
    window.history.replaceState(window.history.state, "", window.location.pathname);
    let fields = {};
    try {
      fields = JSON.parse(wish);
    } catch {
      return;
    }
    openAndFill(fields).catch((error) => {
      const wanted = Object.entries(fields).map(([name, value]) => `${name}: ${value}`);
      window.alert(`The form could not be filled in (${error.message}). Wanted: ${wanted.join(", ") || "nothing"}`);
    });
  }, [pathname, search]);
  return null;
}

globalThis.retraining_fill_form = FillForm;
globalThis.AirflowPlugin = FillForm;
