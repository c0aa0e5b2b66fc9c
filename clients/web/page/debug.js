/** `window.rayrealm`: what the page knows and what it drew in the last frame, for tests and for looking closer. */

/** @param {import("./world_screen.js").WorldScreen} screen */
export function exposeState(screen) {
  const state = () => {
    const { client, scene, renderer, hud } = screen;
    const { world, me, others } = scene;
    return {
      screen: document.body.dataset.screen,
      me: world && me && { name: world.name, number: world.number, x: me.x, y: me.y, z: me.z, yaw: me.yaw },
      zone: world && world.zone,
      zoneName: world && world.zoneName,
      bounds: world && world.bounds,
      land: world && world.land,
      zones: scene.zones.map(({ zone, name, bounds }) => ({ zone, name, bounds })),
      own: scene.own && { ...scene.own },
      entities: others.map(({ name, number, entityId, linkDead, pose }) => ({ name, number, entityId, linkDead, x: pose.x, z: pose.z, yaw: pose.yaw })),
      latency: client?.connection.latency ?? null,
      connected: client?.connection.ready ?? false,
      connection: client?.connection.state ?? null,
      session: client?.connection.sessionId ?? "",
      reliable: client ? { ...client.connection.reliable } : null,
      degraded: client?.connection.degraded ?? [],
      sequence: client?.prediction?.sequence ?? 0,
      settled: client?.prediction?.settled ?? false,
      tick: client?.view.tick ?? 0,
      delay: client?.ticks.delay ?? null,
      playhead: client?.ticks.playhead ?? null,
      guessed: client?.ticks.guessed ?? null,
      steppedAt: client?.prediction?.steppedAt ?? null,
      fps: hud.framesPerSecond,
      user: client?.userId ?? "",
      presences: client ? [...client.social.presences.known.values()] : [],
      friends: client?.social.friends.lists ?? null,
      party: client?.social.party.current ?? null,
      companions: screen.minimap.companions,
      drawn: renderer.drawn.map((figure) => ({ ...figure })),
    };
  };
  Object.defineProperty(window, "rayrealm", { value: Object.freeze({ state }) });
}
