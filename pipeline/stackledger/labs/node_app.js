// The second lab's application: an event loop in front of Redis, no packages.
//
// Run by the lab as `node node_app.js PORT REDIS_PORT`. Commands to Redis go over
// a pool of connections, one command at a time on each, hand-written RESP.
// Endpoints: /api/items/{id} (one GET), /api/spin (10 ms of CPU), /health, /stats.
"use strict";

const http = require("node:http");
const net = require("node:net");

const [port, redisPort] = process.argv.slice(2).map(Number);
const ITEMS = 10000;
const SPIN_US = 10000;

const idle = [];
const served = {};

function encode(words) {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return `*${words.length}\r\n${parts.join("")}`;
}

// Returns [value, bytes used], or null while the reply is incomplete.
function decode(reply) {
  const end = reply.indexOf("\r\n");
  if (end < 0) return null;
  const head = reply.toString("utf8", 1, end);
  switch (String.fromCharCode(reply[0])) {
    case "-":
      return [new Error(head), end + 2];
    case "$": {
      const size = Number(head);
      if (size < 0) return [null, end + 2];
      const total = end + 2 + size + 2;
      return reply.length < total ? null : [reply.toString("utf8", end + 2, total - 2), total];
    }
    default:
      return [head, end + 2];
  }
}

function connection() {
  const socket = net.connect({ host: "127.0.0.1", port: redisPort, noDelay: true });
  const it = { socket, finish: null, reply: Buffer.alloc(0) };
  const fail = (error) => {
    const finish = it.finish;
    it.finish = null;
    const at = idle.indexOf(it);
    if (at >= 0) idle.splice(at, 1);
    if (finish) finish(error);
  };
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("redis closed the connection")));
  socket.on("data", (chunk) => {
    it.reply = it.reply.length ? Buffer.concat([it.reply, chunk]) : chunk;
    const decoded = decode(it.reply);
    if (decoded === null) return;
    it.reply = it.reply.subarray(decoded[1]);
    const finish = it.finish;
    it.finish = null;
    idle.push(it);
    if (decoded[0] instanceof Error) finish(decoded[0]);
    else finish(null, decoded[0]);
  });
  return it;
}

// Calls back with (error, value).
function redis(words, finish) {
  const it = idle.pop() ?? connection();
  it.finish = finish;
  it.socket.write(encode(words));
}

// By the process' own clock and by the wall's: what another takes of the CPU is between them.
function spin() {
  const begun = process.cpuUsage();
  const begun_ns = process.hrtime.bigint();
  for (;;) {
    const { user, system } = process.cpuUsage(begun);
    const wall_us = Number(process.hrtime.bigint() - begun_ns) / 1000;
    if (user + system >= SPIN_US) return { cpu_us: user + system, wall_us };
  }
}

function send(response, status, answer) {
  const body = JSON.stringify(answer);
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

function count(endpoint, used = {}) {
  served[endpoint] ??= { requests: 0 };
  served[endpoint].requests += 1;
  for (const [name, value] of Object.entries(used)) {
    served[endpoint][name] = (served[endpoint][name] ?? 0) + value;
  }
}

const server = http.createServer((request, response) => {
  const path = request.url.split("?")[0];
  const item = /^\/api\/items\/(\d+)$/.exec(path);
  if (item) {
    redis(["GET", `item:${item[1]}`], (error, value) => {
      count("/api/items/{id}");
      if (error) send(response, 503, { error: error.message });
      else if (value === null) send(response, 404, { error: "not found" });
      else send(response, 200, { id: item[1], value });
    });
  } else if (path === "/api/spin") {
    const answer = spin();
    count(path, answer);
    send(response, 200, answer);
  } else if (path === "/health") {
    count(path);
    send(response, 200, { ok: true });
  } else if (path === "/stats") {
    send(response, 200, served);
  } else {
    send(response, 404, { error: "not found" });
  }
});
// The gateway decides when an idle connection ends: closing it from here would
// race with the next request.
server.keepAliveTimeout = 0;

const items = Array.from({ length: ITEMS }, (_, at) => [`item:${at + 1}`, `value ${at + 1}`]);
redis(["MSET", ...items.flat()], (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  server.listen(port, "127.0.0.1", 511);
});
