"""People on the stage of the browser library's tests: a connection, everything social on it, and a realm that answers."""

from __future__ import annotations

MORE = """
  const presence = (userId, status, version) => ({ user_id: userId, status, version, zone: null, character_id: null });
  const meet = async () => {
    const { Social } = await load("social");
    const { Channels } = await load("channels");
    const { Topics } = await load("topics");
    const stage = await dial();
    const social = new Social(stage.connection);
    const channels = new Channels(stage.connection);
    const topics = new Topics(stage.connection);
    stage.connection.addEventListener("notification", ({ detail }) =>
      [channels, social, topics].some((each) => each.heed(detail.method, detail.params)));
    const asked = [];
    const answers = {
      "friends.list": () => ({ friends: [], incoming: [], outgoing: [], blocked: [] }),
      "party.get": () => ({ party: null, invitations: [] }),
      "chat.inbox": () => ({ messages: [] }),
      "presence.subscribe": ({ user_ids: ids }) => ({ presences: ids.map((id) => presence(id, "online", 5)) }),
      "presence.unsubscribe": () => ({ watching: 0 }),
    };
    const { unpackAny } = await load("messages");
    // The realm answers all there is to answer, until nothing is asked any more.
    const serve = async () => {
      for (;;) {
        await settle();
        const socket = stage.sockets.at(-1);
        const waiting = socket.sent.splice(0).filter((message) => message.request);
        if (waiting.length === 0) return;
        for (const { idNumber, request } of waiting) {
          const params = { ...unpackAny(request.params) };
          asked.push([request.method, params]);
          const result = (answers[request.method] ?? (() => ({})))(params);
          const refused = result instanceof Error; // with the code for its message
          const error = { code: Number(result.message), message: "no" };
          const response = refused ? { error } : { result: stage.packStruct(result) };
          socket.tell({ jsonrpc: "2.0", idNumber, response });
        }
      }
    };
    const again = async (more) => {
      stage.sockets.at(-1).drop(1006);
      await stage.clock.advance(3);
      asked.length = 0;
      stage.sockets.at(-1).ready("ses_1", more);
      await serve();
    };
    const tell = async (method, params) => { stage.sockets.at(-1).note(method, params); await settle(); };
    stage.connection.connect();
    await settle();
    stage.sockets[0].ready();
    await serve();
    return { ...stage, social, channels, topics, asked, answers, serve, again, tell };
  };
"""
