"""A stage for the browser library: a clock, sockets and randomness of the test's own."""

from __future__ import annotations

# In front of every script: a world in which the script decides when time passes and what a socket does.
PRELUDE = """
  class FakeClock {
    time = 100;
    timers = [];
    now = () => this.time;
    after = (seconds, action) => {
      const timer = { at: this.time + seconds, action };
      this.timers.push(timer);
      return () => { this.timers = this.timers.filter((other) => other !== timer); };
    };
    async advance(seconds) {
      const end = this.time + seconds;
      for (;;) {
        await settle();
        const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
        if (!due) break;
        this.timers = this.timers.filter((timer) => timer !== due);
        this.time = Math.max(this.time, due.at);
        due.action();
      }
      this.time = end;
      await settle();
    }
  }
  const settle = () => new Promise((resolve) => setTimeout(resolve));
  const dial = async (options = {}) => {
    const { Connection } = await load("connection");
    const { encodeMessage, decodeMessage, packStruct, unpackAny } = await load("messages");
    const clock = new FakeClock();
    const sockets = [];
    let greetings = 0;
    const connection = new Connection({
      url: "ws://realm/ws",
      token: async ({ doubted }) => { doubts.push(doubted); return "t0ken"; },
      open: (url, protocols) => {
        const socket = {
          url, protocols, sent: [], bufferedAmount: 0, readyState: 1,
          send: (bytes) => socket.sent.push(decodeMessage(bytes)),
          close: (code) => { socket.closed = code; },
          tell: (message) => socket.onmessage({ data: encodeMessage(message).buffer }),
          ready: (session = "ses_1", more = {}) => {
            greetings += 1;
            const params = {
              session_id: session, user_id: "usr_1", resumed: false, recovered: false, stream: "s", seq: 0,
              recovery: { token: `rec${greetings}`, expires_in: 600 }, state: "authenticated", realm: "realm", protocol: 1,
              limits: { max_pending_requests: 3 }, topics: [], degraded: [], world: null, ...more,
            };
            socket.onopen();
            socket.note("session.ready", params);
          },
          note: (method, params, seq = 0) =>
            socket.tell({ jsonrpc: "2.0", notification: { method, params: packStruct(params), seq } }),
          answer: (result = {}) => socket.sent.splice(0).forEach(({ idNumber }) => {
            if (idNumber) socket.tell({ jsonrpc: "2.0", idNumber, response: { result: packStruct(result) } });
          }),
          said: (method) => socket.sent.map((message) => message.request ?? message.notification)
            .filter((call) => call?.method === method).map((call) => ({ ...unpackAny(call.params) })),
          drop: (code) => socket.onclose({ code, reason: "" }),
        };
        sockets.push(socket);
        return socket;
      },
      clock,
      wall: clock.now,
      random: () => 0.999999,
      ...options,
    });
    const doubts = [];
    return { connection, clock, sockets, doubts, packStruct, encodeMessage };
  };
"""
