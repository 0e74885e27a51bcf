/** Which addresses of a model's answer may become a link or a picture. Everything else stays text. */

const LINKS = new Set(["http:", "https:", "mailto:"]);
const PICTURE = /^data:image\/(?:png|jpeg|gif|webp);base64,[a-z0-9+/=\s]+$/i;

/** The address as the browser understands it, or null when it is no plain web or mail address. */
export function safeLink(address: string): string | null {
  if (!/^(?:https?:\/\/|mailto:)/i.test(address)) return null; // nothing relative: it would point at this server
  try {
    const url = new URL(address);
    return LINKS.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function safePicture(address: string): string | null {
  return PICTURE.test(address) ? address : null;
}
