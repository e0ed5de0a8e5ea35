// Each exported scenario drives the gateway with Anthropic's official SDK and says what it saw as one JSON object.
import Anthropic from "@anthropic-ai/sdk";

const { GATEWAY, KEY, MODEL } = process.env;
const client = new Anthropic({ baseURL: GATEWAY.replace(/\/v1$/, ""), apiKey: KEY, maxRetries: 0, timeout: 15000 });
const messages = [{ role: "user", content: "Say a few words." }];
const asked = { model: MODEL, max_tokens: 3000, messages };
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

const scenarios = {
  async message() {
    const { data, response, request_id } = await client.messages.create(asked).withResponse();
    return { content: data.content, stop: data.stop_reason, id: request_id, ours: response.headers.get("x-request-id") };
  },

  async stream() {
    const answer = await client.messages.stream(asked).finalMessage();
    return { content: answer.content, stop: answer.stop_reason, tokens: answer.usage.output_tokens };
  },

  async tools() {
    const thinking = { type: "enabled", budget_tokens: 2000 };
    const first = await client.messages.stream({ ...asked, tools, thinking }).finalMessage();
    const results = first.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: `sun in ${block.input.city}` }));
    const turns = [...messages, { role: "assistant", content: first.content }, { role: "user", content: results }];
    const second = await client.messages.stream({ ...asked, messages: turns, tools, thinking }).finalMessage();
    return { stop: first.stop_reason, text: second.content.at(-1).text };
  },

  async count() {
    return { tokens: (await client.messages.countTokens({ model: MODEL, messages })).input_tokens };
  },

  async error() {
    try {
      await client.messages.stream(asked).finalMessage();
    } catch (error) {
      return { kind: error.constructor.name, status: error.status ?? null, type: error.error?.error?.type };
    }
  },
};

console.log(JSON.stringify(await scenarios[process.argv[2]]()));
