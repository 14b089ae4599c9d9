// Reads {name: MJML} from standard input and writes {name: HTML}.
import mjml2html from 'mjml'

let input = ''
for await (const chunk of process.stdin) input += chunk
const rendered = {}
for (const [name, source] of Object.entries(JSON.parse(input))) {
  rendered[name] = (await mjml2html(source, { validationLevel: 'soft', fonts: {}, keepComments: false })).html
}
process.stdout.write(JSON.stringify(rendered))
