/** Small texts the browser keeps. Where it refuses (site data blocked), they live as long as the page. */
class Memory {
  private readonly here = new Map<string, string>();

  constructor(private readonly open: () => Storage) {}

  get(key: string): string | null {
    try {
      return this.open().getItem(key);
    } catch {
      return this.here.get(key) ?? null;
    }
  }

  /** null forgets */
  set(key: string, text: string | null): void {
    try {
      if (text === null) this.open().removeItem(key);
      else this.open().setItem(key, text);
    } catch {
      if (text === null) this.here.delete(key);
      else this.here.set(key, text);
    }
  }
}

/** For good, in all tabs. */
export const browserMemory = new Memory(() => localStorage);
/** Until the tab is closed. */
export const tabMemory = new Memory(() => sessionStorage);
