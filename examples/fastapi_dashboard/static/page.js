// The page: shows a user's dashboard, and checks out what is in the cart.

const at = (id) => document.getElementById(id);
const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const day = new Intl.DateTimeFormat("en", { dateStyle: "long", timeZone: "UTC" });

// What is shown: answers for another user, or older ones, come too late.
let shown = 0;
let user = "";
// Each product once, whichever list shows it: {product, quantity}.
let cart = new Map();

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const told = typeof body.detail === "string" ? body.detail : `The server said ${answer.status}`;
    throw Object.assign(new Error(`${told}.`), { body });
  }
  return body;
}

function tell(text, isBad = false) {
  const message = at("message");
  message.textContent = text;
  message.classList.toggle("bad", isBad);
  message.hidden = !text;
}

async function show(name, kept = "") {
  const turn = ++shown;
  const path = `/api/users/${encodeURIComponent(name)}`;
  try {
    const [board, products] = await Promise.all([
      ask(`${path}/dashboard`),
      ask(`${path}/products`),
    ]);
    if (turn !== shown) return;
    user = name;
    showBoard(board);
    showProducts(products);
    tell(kept);
    at("board").hidden = false;
  } catch (error) {
    if (turn !== shown) return;
    at("board").hidden = true;
    tell(error.message, true);
  }
}

function showBoard({ profile, settings, orders }) {
  document.documentElement.dataset.theme = settings?.theme ?? "light";
  document.title = `${profile.name} - Dashboard`;
  at("name").textContent = profile.name;
  at("email").textContent = profile.email ?? "No address";
  at("orders").textContent = orders
    ? `${orders.count} for ${money.format(orders.total)}`
    : "None yet";
  at("last").textContent = orders?.last ? `The last on ${day.format(new Date(orders.last))}` : "";
  at("theme").textContent = settings?.theme ?? "Not set";
  at("newsletter").textContent = settings ? (settings.newsletter ? "Yes" : "No") : "Not set";
}

function showProducts(products) {
  cart = new Map();
  for (const list of ["favorites", "recent"]) {
    at(list).replaceChildren(...products[list].map(row));
    if (!products[list].length) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = "Nothing here";
      at(list).append(none);
    }
  }
  showTotal();
}

function row(product) {
  const line = cart.get(product.id) ?? { product, quantity: 0 };
  cart.set(product.id, line);
  const made = at("product").content.firstElementChild.cloneNode(true);
  const part = (name) => made.querySelector(`.${name}`);
  made.dataset.product = product.id;
  part("product-name").textContent = product.name;
  part("price").textContent = money.format(product.price);
  showStock(made, product.quantity);
  const quantity = part("quantity");
  quantity.setAttribute("aria-label", `How many: ${product.name}`);
  quantity.addEventListener("input", () => {
    line.quantity = quantity.valueAsNumber > 0 ? Math.floor(quantity.valueAsNumber) : 0;
    for (const other of rowsOf(product.id)) {
      if (other !== made) other.querySelector(".quantity").value = line.quantity;
    }
    showTotal();
  });
  return made;
}

// Both lists may show one product.
function rowsOf(productId) {
  const rows = [...document.querySelectorAll(".products li")];
  return rows.filter((row) => row.dataset.product === productId);
}

function showStock(row, quantity) {
  const stock = row.querySelector(".stock");
  stock.textContent = quantity ? `${quantity} in stock` : "Sold out";
  stock.classList.toggle("short", !quantity);
  row.querySelector(".quantity").disabled = !quantity;
}

function showTotal() {
  const lines = [...cart.values()].filter((line) => line.quantity);
  const total = lines.reduce((sum, line) => sum + line.product.price * line.quantity, 0);
  at("total").textContent = lines.length ? money.format(total) : "";
  at("buy").disabled = !lines.length;
}

async function checkOut() {
  const lines = [...cart.values()].filter((line) => line.quantity);
  const items = lines.map(({ product, quantity }) => ({ product_id: product.id, quantity }));
  at("buy").disabled = true;
  try {
    const receipt = await ask("/api/checkout", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ items }),
    });
    const count = receipt.items.reduce((sum, item) => sum + item.quantity, 0);
    const what = count === 1 ? "one product" : `${count} products`;
    await show(user, `Bought ${what} for ${money.format(receipt.total)}.`);
  } catch (error) {
    const shortages = error.body?.shortages ?? [];
    for (const { product_id: productId, available } of shortages) {
      for (const row of rowsOf(productId)) showStock(row, available);
    }
    const left = shortages.map(({ name, available }) => `${name}: ${available || "none"} left`);
    tell(left.length ? `Nothing was bought. ${left.join(", ")}.` : error.message, true);
    showTotal();
  }
}

at("who").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = at("user").value.trim();
  if (!name) return;
  history.replaceState(null, "", `?user=${encodeURIComponent(name)}`);
  show(name);
});
at("cart").addEventListener("submit", (event) => {
  event.preventDefault();
  checkOut();
});

const first = new URLSearchParams(location.search).get("user") ?? "ada";
at("user").value = first;
show(first);
