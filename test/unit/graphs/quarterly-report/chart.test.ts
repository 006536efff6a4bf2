import { Resvg } from "@resvg/resvg-js";
import { beforeAll, describe, expect, it } from "vitest";
import { chartPng, chartSvg } from "../../../../graphs/quarterly-report/chart.js";
import { reported } from "./reported.js";

/** The texts of an SVG as a reader sees them. */
const textsIn = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = ""]) =>
    text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&"),
  );

describe("the chart of 2024 Q3 as SVG", () => {
  let texts: string[];
  beforeAll(async () => {
    texts = textsIn(chartSvg((await reported(2024, 3)).figures));
  });

  it("says what it shows: title, comparison, axes and legend", () => {
    expect(texts).toContain("Apple Inc.: net sales and gross margin, fiscal 2024 Q3");
    expect(
      texts.find((text) => text.startsWith("Net sales +4.9 % and gross margin rate +1.7 points on 2023 Q3")),
    ).toBeDefined();
    expect(texts).toEqual(
      expect.arrayContaining([
        "Net sales, US$ billions",
        "Gross margin, % of net sales",
        "Fiscal quarter",
        "Products",
        "Services",
        "Gross margin rate",
      ]),
    );
  });

  it("labels three years of quarters, each once, with its net sales in billions and its margin", () => {
    const quarters = texts.filter((text) => /^\d{4} Q\d$/.test(text));
    const expected = [
      "2021 Q4",
      "2022 Q1",
      "2022 Q2",
      "2022 Q3",
      "2022 Q4",
      "2023 Q1",
      "2023 Q2",
      "2023 Q3",
      "2023 Q4",
      "2024 Q1",
      "2024 Q2",
      "2024 Q3",
    ];
    expect(quarters).toEqual(expected);
    const values = texts.filter((text) => /^\d+\.\d$/.test(text));
    const netSales = [
      "83.4",
      "123.9",
      "97.3",
      "83.0",
      "90.1",
      "117.2",
      "94.8",
      "81.8",
      "89.5",
      "119.6",
      "90.8",
      "85.8",
    ];
    const margins = ["42.2", "43.8", "43.7", "43.3", "42.3", "43.0", "44.3", "44.5", "45.2", "45.9", "46.6", "46.3"];
    expect(values.filter((value) => !netSales.includes(value))).toEqual(expect.arrayContaining(margins));
    expect(values).toEqual(expect.arrayContaining(netSales));
  });

  it("is of another quarter where another one is asked for", async () => {
    const other = textsIn(chartSvg((await reported(2023, 1)).figures));
    expect(other).toContain("Apple Inc.: net sales and gross margin, fiscal 2023 Q1");
    expect(other).toContain("117.2");
    expect(other).not.toContain("85.8");
  });

  it("shows a company's name as text, whatever it holds", async () => {
    const { figures } = await reported(2024, 3);
    const svg = chartSvg({ ...figures, company: '<script>alert("x")</script> & Sons' });
    expect(svg).not.toContain("<script>");
    expect(textsIn(svg)).toContain('<script>alert("x")</script> & Sons: net sales and gross margin, fiscal 2024 Q3');
  });
});

describe("the chart as PNG", () => {
  let png: Buffer;
  let pixels: Buffer;
  const width = 2160;
  const height = 1360;
  beforeAll(async () => {
    png = Buffer.from(await chartPng(chartSvg((await reported(2024, 3)).figures)));
    // resvg reads PNG as well, and gives the pixels back
    const page = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><image width="${width}" height="${height}" href="data:image/png;base64,${png.toString("base64")}"/></svg>`;
    pixels = new Resvg(page).render().pixels;
  });

  /** Share of the pixels of a region that have exactly that colour. */
  function share(
    color: string,
    [left, top, right, bottom]: readonly [number, number, number, number] = [0, 0, width, height],
  ): number {
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    let found = 0;
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const at = 4 * (y * width + x);
        if (pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue) found += 1;
      }
    }
    return found / ((right - left) * (bottom - top));
  }

  it("is a PNG of twice the size", () => {
    expect(png.subarray(0, 8).toString("hex")).toBe("89504e470d0a1a0a");
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([width, height]);
    expect(pixels).toHaveLength(4 * width * height);
  });

  it("is a picture on white: bars in the colours of products and services, the margin line", () => {
    expect(share("#ffffff")).toBeGreaterThan(0.6);
    expect(share("#ffffff")).toBeLessThan(0.95);
    for (const color of ["#1f4e79", "#2a9d8f", "#b7791f"]) expect(share(color), color).toBeGreaterThan(0.001);
  });

  it("has only the reported quarter, the last bar, in full colour", () => {
    const bars = (left: number, right: number) => share("#1f4e79", [left, 260, right, 820]);
    expect(bars(width - 240, width - 80)).toBeGreaterThan(0.2);
    expect(bars(200, width - 260)).toBe(0);
  });

  it("is lettered with a font: the title, and the net sales above the last bar", () => {
    expect(share("#1d2733", [48, 30, 1200, 80])).toBeGreaterThan(0.02);
    expect(share("#1d2733", [1940, 410, 2060, 462])).toBeGreaterThan(0.02);
  });
});
