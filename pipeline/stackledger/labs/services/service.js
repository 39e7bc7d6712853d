// The compared service in JavaScript: one event loop, no packages.
//
//   node service.js PORT REDIS_PORT FOLDER
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");

const [port, redisPort] = process.argv.slice(2, 4).map(Number);
const folder = process.argv[4];
const STEPS = 20000;
const RECORD_BYTES = 4096;
const RECORDS = 64;

function compute(number) {
  let value = number % 65537;
  for (let step = 0; step < STEPS; step++) value = (value * 75 + 74) % 65537;
  return value;
}

const idle = [];

// Calls back with a key's value, on a connection that nobody else uses meanwhile.
function get(key, finish) {
  const it = idle.pop() ?? connect();
  it.finish = finish;
  it.socket.write(`*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`);
}

function connect() {
  const it = { socket: net.connect({ host: "127.0.0.1", port: redisPort, noDelay: true }) };
  it.reply = "";
  it.socket.on("data", (chunk) => {
    it.reply += chunk;
    const lines = it.reply.split("\r\n");
    if (lines.length < 3) return;
    it.reply = "";
    idle.push(it);
    it.finish(lines[1]);
  });
  return it;
}

const files = [];
let opened = 0;

// Calls back when a record is on the disk, in a file that nobody else uses meanwhile.
function save(text, finish) {
  const it = files.pop() ?? open();
  const record = Buffer.alloc(RECORD_BYTES, " ");
  record.write(text);
  it.saved = (it.saved + 1) % RECORDS;
  fs.write(it.file, record, 0, RECORD_BYTES, it.saved * RECORD_BYTES, () => {
    fs.fdatasync(it.file, () => {
      files.push(it);
      finish();
    });
  });
}

function open() {
  opened += 1;
  const file = fs.openSync(`${folder}/node-${opened}`, "w+", 0o600);
  fs.writeSync(file, Buffer.alloc(RECORDS * RECORD_BYTES), 0, RECORDS * RECORD_BYTES, 0);
  fs.fsyncSync(file);
  return { file, saved: 0 };
}

function send(response, body) {
  response.writeHead(200, { "Content-Length": Buffer.byteLength(body) });
  response.end(body);
}

const server = http.createServer((request, response) => {
  const words = request.url.split("/");
  if (words[1] !== "work") return send(response, "ok");
  const value = compute(Number(words[2]));
  get(`item:${words[2]}`, (item) => save(item, () => send(response, `${value} ${item}`)));
});
server.keepAliveTimeout = 0;
server.listen(port, "127.0.0.1", 511);
