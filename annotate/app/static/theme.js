// The page's colours: as the system has them, or as the labeller chose. Loaded before anything is drawn.

const KEPT = "uavpipe.theme";
const THEMES = { auto: "as the system", light: "light", dark: "dark" };
const NAMES = Object.keys(THEMES);

let name = localStorage.getItem(KEPT);
if (!(name in THEMES)) name = "auto";
document.documentElement.dataset.theme = name;

// A click on `button` chooses the next one.
export function chooseTheme(button) {
  const draw = () => {
    document.documentElement.dataset.theme = name;
    button.ariaLabel = button.title = `Colours: ${THEMES[name]}`;
  };
  button.addEventListener("click", () => {
    name = NAMES[(NAMES.indexOf(name) + 1) % NAMES.length];
    localStorage.setItem(KEPT, name);
    draw();
  });
  draw();
}
