import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { renderAsync } from "@resvg/resvg-js";
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import * as echarts from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { type Figures, positionOf, type Quarter, quarterName } from "./figures.js";
import { grossMarginRate, metricsOf } from "./metrics.js";
import { signedPercent, signedPoints } from "./prose.js";

echarts.use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 1080;
const HEIGHT = 680;
/** Three years: a season is seen three times and labels stay readable. */
const QUARTERS_SHOWN = 12;
const FONT = "DejaVu Sans";
const COLORS = {
  products: "#1f4e79",
  services: "#2a9d8f",
  margin: "#b7791f",
  ink: "#1d2733",
  muted: "#5b6775",
  grid: "#e4e8ec",
};

/** Net sales by quarter (products and services stacked) above the gross margin rate, the reported quarter highlighted. */
export function chartSvg(figures: Figures): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height: HEIGHT });
  try {
    chart.setOption(chartOption(figures));
    return chart.renderToSVGString();
  } finally {
    chart.dispose();
  }
}

/** The SVG at twice its size, with fonts from a package: a bare machine has none. */
export async function chartPng(svg: string): Promise<Uint8Array> {
  const fonts = join(dirname(createRequire(import.meta.url).resolve("dejavu-fonts-ttf/package.json")), "ttf");
  const image = await renderAsync(svg, {
    background: "white",
    fitTo: { mode: "width", value: WIDTH * 2 },
    font: {
      loadSystemFonts: false,
      fontFiles: ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"].map((file) => join(fonts, file)),
      defaultFontFamily: FONT,
    },
  });
  return image.asPng();
}

function chartOption(figures: Figures): echarts.EChartsCoreOption {
  const { current, yearAgo, company } = figures;
  const shown = figures.history.slice(-QUARTERS_SHOWN);
  const metrics = metricsOf(figures);
  const isCurrent = (quarter: Quarter) => positionOf(quarter) === positionOf(current);
  const isYearAgo = (quarter: Quarter) => positionOf(quarter) === positionOf(yearAgo);
  const opacity = (quarter: Quarter) => (isCurrent(quarter) ? 1 : isYearAgo(quarter) ? 0.75 : 0.4);
  const bars = (field: "productSales" | "serviceSales") =>
    shown.map((quarter) => ({ value: billions(quarter[field]), itemStyle: { opacity: opacity(quarter) } }));
  const categories = shown.map((quarter) => ({
    value: quarterName(quarter),
    textStyle: isCurrent(quarter) ? { fontWeight: "bold" as const, color: COLORS.ink } : {},
  }));
  const total = (quarter: Quarter) => ({
    value: billions(quarter.netSales),
    label: {
      fontWeight: isCurrent(quarter) ? ("bold" as const) : ("normal" as const),
      color: isCurrent(quarter) || isYearAgo(quarter) ? COLORS.ink : COLORS.muted,
    },
  });
  const axis = {
    axisLine: { lineStyle: { color: COLORS.muted } },
    axisTick: { show: false },
    axisLabel: { color: COLORS.muted, fontFamily: FONT, fontSize: 12 },
  };
  const valueAxis = (name: string) => ({
    ...axis,
    type: "value",
    name,
    nameLocation: "middle",
    nameTextStyle: { color: COLORS.muted, fontFamily: FONT, fontSize: 12 },
    splitLine: { lineStyle: { color: COLORS.grid } },
    axisLine: { show: false },
  });
  return {
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: FONT, color: COLORS.ink },
    title: {
      left: 24,
      top: 16,
      text: `${company}: net sales and gross margin, fiscal ${quarterName(current)}`,
      subtext: `Net sales ${signedPercent(metrics.netSalesGrowth)} and gross margin rate ${signedPoints(metrics.grossMarginChange)} on ${quarterName(yearAgo)}; the reported quarter is in full colour, the year-ago quarter half`,
      textStyle: { fontSize: 20, fontFamily: FONT, color: COLORS.ink },
      subtextStyle: { fontSize: 13, fontFamily: FONT, color: COLORS.muted },
    },
    legend: {
      right: 40,
      top: 84,
      data: ["Products", "Services", "Gross margin rate"],
      textStyle: { fontFamily: FONT, color: COLORS.ink },
      itemStyle: { opacity: 1 },
    },
    grid: [
      { left: 84, right: 40, top: 120, height: 290 },
      { left: 84, right: 40, top: 460, height: 140 },
    ],
    xAxis: [
      { ...axis, type: "category", gridIndex: 0, data: categories, axisLabel: { ...axis.axisLabel, show: false } },
      {
        ...axis,
        type: "category",
        gridIndex: 1,
        data: categories,
        name: "Fiscal quarter",
        nameLocation: "middle",
        nameGap: 36,
        nameTextStyle: { color: COLORS.muted, fontFamily: FONT, fontSize: 12 },
        axisLabel: { ...axis.axisLabel, interval: 0 },
      },
    ],
    yAxis: [
      { ...valueAxis("Net sales, US$ billions"), gridIndex: 0, nameGap: 48 },
      { ...valueAxis("Gross margin, % of net sales"), gridIndex: 1, nameGap: 48, scale: true, splitNumber: 3 },
    ],
    series: [
      {
        name: "Products",
        type: "bar",
        stack: "net",
        data: bars("productSales"),
        color: COLORS.products,
        barWidth: "62%",
      },
      { name: "Services", type: "bar", stack: "net", data: bars("serviceSales"), color: COLORS.services },
      {
        // An invisible line on top of the stack, for the totals.
        name: "Net sales",
        type: "line",
        data: shown.map(total),
        lineStyle: { opacity: 0 },
        // A label hangs on its symbol and shares its opacity, so the symbol is there and has no colour.
        symbol: "circle",
        symbolSize: 1,
        itemStyle: { color: "transparent" },
        silent: true,
        label: {
          show: true,
          position: "top",
          fontFamily: FONT,
          fontSize: 12,
          formatter: ({ value }: { value: number }) => value.toFixed(1),
        },
      },
      {
        name: "Gross margin rate",
        type: "line",
        xAxisIndex: 1,
        yAxisIndex: 1,
        data: shown.map((quarter) => ({
          value: Math.round(grossMarginRate(quarter) * 10) / 10,
          symbolSize: isCurrent(quarter) ? 11 : 6,
          label: {
            fontWeight: isCurrent(quarter) ? ("bold" as const) : ("normal" as const),
            color: isCurrent(quarter) || isYearAgo(quarter) ? COLORS.ink : COLORS.muted,
          },
        })),
        color: COLORS.margin,
        symbol: "circle",
        label: {
          show: true,
          position: "top",
          fontFamily: FONT,
          fontSize: 12,
          formatter: ({ value }: { value: number }) => value.toFixed(1),
        },
      },
    ],
  };
}

function billions(millions: number): number {
  return Math.round(millions / 100) / 10;
}
